"""paho alone: the publisher that is the peer of a gate's uplink, and the client of other helpers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from fabgate.gate.journal.reader import JournalReader

WINDOW = 20
WAIT_S = 60.0
Take = Callable[[paho.Client, Any, paho.MQTTMessage], None]


def connected(port: int, topic: str = "", take: Take | None = None, *, gathers: bool = True) -> paho.Client:
    """Return a client that is connected, and subscribed to `topic`; `take` is its on_message.

    paho gathers what it sends in ``loop_start``; in ``loop_forever`` it sends each packet at once.
    """
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(WINDOW)
    is_up = threading.Event()
    if take:
        client.on_message = take
        client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        client.on_subscribe = lambda *_: is_up.set()
    else:
        client.on_connect = lambda *_: is_up.set()
    client.on_socket_open = send_at_once
    client.connect("127.0.0.1", port)
    if gathers:
        client.loop_start()
    else:
        threading.Thread(target=client.loop_forever, daemon=True).start()
    if not is_up.wait(WAIT_S):
        raise TimeoutError(f"the broker did not answer within {WAIT_S:.0f} s")
    return client


def send_at_once(_client: Any, _data: Any, sock: Any) -> None:
    """Switch off Nagle's algorithm; for paho's `on_socket_open`."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def publish(port: int, journal: str, count: int) -> float:
    """Publish the entries of a journal under the topics that a gate uses; return the seconds from the first to the last PUBACK.

    The window is a gate's.
    """
    reader = JournalReader(Path(journal))
    messages = [(reader.topics.event(one.type), one.body) for one in reader.after(0, most=count)]
    left = len(messages)
    done = threading.Event()

    def published(*_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    client = connected(port)
    client.on_publish = published
    began_s = time.perf_counter()
    for topic, body in messages:
        client.publish(topic, body, qos=1)
    if not done.wait(WAIT_S):
        raise TimeoutError("the broker did not confirm everything")
    return time.perf_counter() - began_s

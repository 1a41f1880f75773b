"""Collectors that store nothing: the peer of the ingest, and the companion of a gate."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as paho

from bench.gates.people import SITE
from bench.peers.bare_client import connected
from fabgate import wire
from fabgate.gate.uplink.window import LEAST
from fabgate.mqtt.properties import read_quickly
from fabgate.seal import entry_hash, to_text

EVENTS = f"{wire.ROOT}/{SITE}/+/event/#"
COLLECTOR = "light"
ACK_EVERY, ACK_EVERY_S = LEAST, 0.003


def subscribe(port: int, head: int, stock: bool = False) -> None:
    """Take the entries of gates, the last of which is `head`: a paho subscriber, the peer of the ingest.

    It reads message properties as the ingest does, so that only the cost of storing differs; `stock`: with paho's own reader.
    It acknowledges every tenth entry of a gate, the first, and the last: gates hold further entries back until then, and a
    gate that has lost some sends only ten ahead.
    """
    if not stock:
        read_quickly()

    def take(client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        properties = dict(message.properties.UserProperty)  # type: ignore[union-attr]  # each entry has some
        seq = int(properties[wire.PROP_SEQ])
        if seq % ACK_EVERY == 0 or seq in {1, head}:
            base = message.topic.partition("/event/")[0]
            ack = wire.Ack(collector=COLLECTOR, journal=properties[wire.PROP_JOURNAL], seq=seq, hash="")
            client.publish(f"{base}/ack", wire.encode(ack), qos=1, retain=True)

    connected(port, EVENTS, take, gathers=False)


_newest: dict[str, tuple[str, int, bytes]] = {}
_came_s: SimpleQueue[float] = SimpleQueue()


def acknowledge(port: int) -> None:
    """Take the entries of all gates and acknowledge them every few milliseconds.

    The cost of this does not count for the gate; the commit of a real collector is measured elsewhere.
    """
    client = connected(port, EVENTS, _take)
    status = wire.encode(wire.CollectorStatus(online=True, collector=COLLECTOR))
    client.publish(wire.collector_status_topic(SITE), status, qos=1, retain=True)
    threading.Thread(target=_acknowledge, args=(client,), daemon=True).start()


def first_entry_s() -> float:
    """Wait for the first entry of a journal; return when it came (time.monotonic)."""
    return _came_s.get()


def _acknowledge(client: paho.Client) -> None:
    acknowledged: dict[str, int] = {}
    while True:
        time.sleep(ACK_EVERY_S)
        for journal, (base, seq, body) in list(_newest.items()):
            if acknowledged.get(journal) != seq:
                acknowledged[journal] = seq
                ack = wire.Ack(collector=COLLECTOR, journal=journal, seq=seq, hash=to_text(entry_hash(body)))
                client.publish(f"{base}/ack", wire.encode(ack), qos=1, retain=True)


def _take(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
    properties = dict(getattr(message.properties, "UserProperty", ()))
    journal, seq = properties.get(wire.PROP_JOURNAL), int(properties.get(wire.PROP_SEQ, 0))
    if journal is None:
        return  # from the bare publisher
    known = _newest.get(journal)
    if known is None:
        _came_s.put(time.monotonic())
    # One connection keeps the order, so numbers follow each other.
    if known is None or seq == known[1] + 1:
        _newest[journal] = (message.topic.partition("/event/")[0], seq, bytes(message.payload))

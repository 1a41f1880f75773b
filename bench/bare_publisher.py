"""The peer of the uplink: paho alone, with a window of 20, publishes the same bytes under the same topics.

``python -m bench.bare_publisher PORT JOURNAL COUNT`` prints the seconds from the first publish to the last PUBACK.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.light_mqtt import send_at_once
from fabgate.gate.journal.reader import JournalReader

WINDOW = 20


def main() -> None:
    """Publish everything once."""
    port, path, count = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    reader = JournalReader(path)
    messages = [(reader.topics.event(one.type), one.body) for one in reader.after(0, most=count)]
    left = len(messages)
    done, up = threading.Event(), threading.Event()

    def published(*_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(WINDOW)
    client.on_publish = published
    client.on_connect = lambda *_: up.set()
    client.on_socket_open = send_at_once
    client.connect("127.0.0.1", port)
    client.loop_start()
    up.wait(10)
    began_s = time.perf_counter()
    for topic, body in messages:
        client.publish(topic, body, qos=1)
    if not done.wait(60):
        sys.exit("the broker did not confirm everything")
    print(time.perf_counter() - began_s, flush=True)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main()

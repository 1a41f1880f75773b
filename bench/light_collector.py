"""The peer of the ingest: a paho subscriber that stores nothing.

``python -m bench.light_collector PORT HEAD`` prints ``ready``. It reads message properties as the ingest does, so that
only the cost of storing differs; with a third argument ``stock`` it uses paho's own reader. It acknowledges every tenth
entry of a gate, the first, and the last, HEAD: gates hold further entries back until then, and a gate that has lost some
sends only ten ahead.
"""

from __future__ import annotations

import sys
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.light_mqtt import send_at_once
from bench.people import SITE
from fabgate import wire
from fabgate.gate.uplink.window import LEAST
from fabgate.mqtt.client import KEEPALIVE_S
from fabgate.mqtt.properties import read_quickly

ACK_EVERY = LEAST


class Subscriber:
    """One connection."""

    def __init__(self, port: int, head: int) -> None:
        self._head = head
        self.count = 0
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, client_id="bench-light-collector")
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: print("ready", flush=True)
        client.on_socket_open = send_at_once
        client.connect("127.0.0.1", port, KEEPALIVE_S)
        self._client = client

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(f"{wire.ROOT}/{SITE}/+/event/#", qos=1)

    def run(self) -> None:
        """Take until killed."""
        self._client.loop_forever()

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.count += 1
        properties = dict(message.properties.UserProperty)  # type: ignore[union-attr]  # each entry has some
        seq = int(properties[wire.PROP_SEQ])
        if seq % ACK_EVERY == 0 or seq in {1, self._head}:
            base = message.topic.partition("/event/")[0]
            ack = wire.Ack(collector="light", journal=properties[wire.PROP_JOURNAL], seq=seq, hash="")
            client.publish(f"{base}/ack", wire.encode(ack), qos=1, retain=True)


if __name__ == "__main__":
    if sys.argv[3:] != ["stock"]:
        read_quickly()
    Subscriber(int(sys.argv[1]), int(sys.argv[2])).run()

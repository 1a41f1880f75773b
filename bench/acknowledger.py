"""A collector that stores nothing: it takes the entries of all gates and acknowledges them every few milliseconds.

``python -m bench.acknowledger PORT`` prints ``ready``, and one line of JSON when the first entry of a journal arrives.
Its cost does not count for the gate; the commit of a real collector is measured elsewhere.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.people import SITE
from fabgate import wire
from fabgate.seal import entry_hash, to_text

COLLECTOR = "light"
EVERY_S = 0.003


class Acknowledger:
    """One connection, and the newest entry of each journal."""

    def __init__(self, port: int) -> None:
        self._newest: dict[str, tuple[str, int, bytes]] = {}
        self._acknowledged: dict[str, int] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_socket_open = _no_delay
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{wire.ROOT}/{SITE}/+/event/#", qos=1)
        status = wire.encode(wire.CollectorStatus(online=True, collector=COLLECTOR))
        self._client.publish(wire.collector_status_topic(SITE), status, qos=1, retain=True)

    def run(self) -> None:
        """Acknowledge until killed."""
        self._client.loop_start()
        print("ready", flush=True)
        while True:
            time.sleep(EVERY_S)
            for journal, (base, seq, body) in list(self._newest.items()):
                if self._acknowledged.get(journal) != seq:
                    self._acknowledged[journal] = seq
                    ack = wire.Ack(collector=COLLECTOR, journal=journal, seq=seq, hash=to_text(entry_hash(body)))
                    self._client.publish(f"{base}/ack", wire.encode(ack), qos=1, retain=True)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        properties = dict(getattr(message.properties, "UserProperty", ()))
        journal, seq = properties.get(wire.PROP_JOURNAL), int(properties.get(wire.PROP_SEQ, 0))
        if journal is None:
            return  # from the bare publisher
        known = self._newest.get(journal)
        if known is None:
            print(json.dumps({"journal": journal, "at_s": time.monotonic()}), flush=True)
        # One connection keeps the order, so numbers follow each other.
        if known is None or seq == known[1] + 1:
            self._newest[journal] = (message.topic.partition("/event/")[0], seq, bytes(message.payload))


def _no_delay(_client: Any, _data: Any, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


if __name__ == "__main__":
    Acknowledger(int(sys.argv[1])).run()

"""A gate's connection to a broker, which sends its journal until it is acknowledged."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import wire
from fabgate.collector.recording.broker.message import Received
from tests.collector.gates import Journal
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S


class Uplink:
    """A gate's end of the delivery rules: publish, and publish again from the mark until the ack says the head."""

    def __init__(self, client, journal: Journal) -> None:
        self.client = client
        self.journal = journal
        self.acks: queue.Queue[wire.Ack] = queue.Queue()
        self.statuses: queue.Queue[wire.CollectorStatus] = queue.Queue()
        client.on_message = self._hear
        client.subscribe([(journal.topics.topic("ack"), 1), (wire.collector_status_topic("lyon"), 1)])

    def _hear(self, _client, _data, message) -> None:
        if message.topic == self.journal.topics.topic("ack"):
            self.acks.put(wire.decode(message.payload, wire.Ack))
        else:
            self.statuses.put(wire.decode(message.payload, wire.CollectorStatus))

    def publish(self, message: Received) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        if message.journal and message.seq:
            properties.UserProperty = [(wire.PROP_JOURNAL, message.journal), (wire.PROP_SEQ, message.seq)]
        self.client.publish(message.topic, message.body, qos=1, properties=properties)

    def wait_for_collector(self, *, online: bool = True) -> str:
        deadline = time.monotonic() + HANGS_S
        while True:
            status = self.statuses.get(timeout=max(0.0, deadline - time.monotonic()))
            if status.online is online:
                return status.collector

    def deliver(self) -> wire.Ack:
        """Send until everything is acknowledged, resending from the mark when no ack moves for a while."""
        mark = 0
        deadline = time.monotonic() + HANGS_S
        while time.monotonic() < deadline:
            for message in self.journal.messages(mark + 1):
                self.publish(message)
            self.publish(self.journal.status(mark=mark))
            try:
                while True:
                    ack = self.acks.get(timeout=1)
                    mark = max(mark, ack.seq)
                    if mark == self.journal.head:
                        return ack
            except queue.Empty:
                continue
        raise AssertionError(f"acknowledged up to {mark} of {self.journal.head}")


@contextmanager
def uplink(broker: Mosquitto, journal: Journal) -> Iterator[Uplink]:
    with broker.client() as client:
        yield Uplink(client, journal)

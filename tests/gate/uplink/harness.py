"""An uplink on a real Mosquitto, and a listener that receives everything and can act as the collector."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import seal, wire
from fabgate.gate.config.gate_yaml import Mqtt, Tls, UplinkOptions
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import (
    LinkChanged,
)
from fabgate.gate.workers import Workers
from tests.gate.shell import drafts, gate_config, wait
from tests.support.mosquitto import MOSQUITTO, Mosquitto
from tests.support.patience import HANGS_S

TOPICS = wire.GateTopics("lyon", "laser-1")

BASE = "fabgate/v1/lyon/laser-1"

COLLECTOR = "collector-1"

#: Too short for a person and long enough for a computer.
NEVER_S = 3_600.0


needs_broker = pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="no mosquitto here: apt install mosquitto")


@dataclass
class Listener:
    """Somebody who hears everything that goes over a broker, and can speak as the collector."""

    client: paho.Client
    received: list[paho.MQTTMessage] = field(default_factory=list)

    def on(self, topic: str) -> list[paho.MQTTMessage]:
        return [message for message in self.received if message.topic == topic]

    def events(self) -> list[paho.MQTTMessage]:
        return [message for message in self.received if "/event/" in message.topic]

    def seqs(self) -> list[int]:
        return [int(dict(message.properties.UserProperty)["seq"]) for message in self.events()]

    def statuses(self) -> list[wire.Status]:
        return [wire.decode(message.payload, wire.Status) for message in self.on(f"{BASE}/status") if message.payload]

    def say(self, topic: str, body: bytes, *, retain: bool = False, **properties: Any) -> None:
        found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in properties.items():
            setattr(found, name, value)
        self.client.publish(topic, body, qos=1, retain=retain, properties=found).wait_for_publish(HANGS_S)

    def announce(self, collector: str = COLLECTOR, *, online: bool = True) -> None:
        status = wire.CollectorStatus(online=online, collector=collector)
        self.say("fabgate/v1/lyon/collector/status", wire.encode(status), retain=True)

    def ack(self, journal: str, seq: int, digest: bytes, collector: str = COLLECTOR, *, retain: bool = False) -> None:
        found = wire.Ack(collector=collector, journal=journal, seq=seq, hash=seal.to_text(digest))
        self.say(f"{BASE}/ack", wire.encode(found), retain=retain)

    def take(self, harness: Harness, count: int, what: str) -> None:
        """Wait for so many entries, and say meanwhile how far it is, as a collector does: else a gate keeps some back."""
        self.announce()
        said = 0

        def have_come() -> bool:
            nonlocal said
            newest = len(self.seqs())
            if newest > said:
                said = newest
                self.ack(harness.journal.id, said, harness.hash(said))
            return newest >= count

        wait(have_come, what)


@contextlib.contextmanager
def listening(port: int, **login: Any) -> Iterator[Listener]:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    if login:
        client.username_pw_set(**login)
    listener = Listener(client)
    ready = threading.Event()
    client.on_message = lambda _c, _u, message: listener.received.append(message)
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda c, *_: c.subscribe("#", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert ready.wait(HANGS_S)
        yield listener
    finally:
        client.disconnect()
        client.loop_stop()


def way_to(broker: Mosquitto) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=broker.port, tls=Tls(ca=broker.ca) if broker.ca else None)


class Harness:
    """A journal, its uplink in two threads, and what the uplink posted. Time is moved by hand."""

    def __init__(self, folder: Path, port: int, *, entries: int = 0, **mqtt: Any) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.journal = Journal(folder / "journal.db", TOPICS)
        self.journal.open()
        self.ms = 1_000_000
        self.posted: list[object] = []
        options = UplinkOptions(resend_s=10, resend_max_s=300)
        collector = mqtt.pop("collector_id", None)
        self.config = gate_config(
            folder, mqtt=Mqtt(host="127.0.0.1", port=port, **mqtt), uplink=options, collector_id=collector
        )
        self.append(entries)
        #: How long the uplink wanted to wait before each new attempt, in seconds; a test waits far less.
        self.pauses: list[float] = []
        self.uplink = Uplink(
            self.config, JournalReader(self.journal.path), self.posted.append, boot_ms=lambda: self.ms, pause=self.pause
        )
        self.threads: list[threading.Thread] = []

    def pause(self, ends: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        ends.wait(0.02)

    def append(self, count: int) -> None:
        if count:
            self.journal.append(drafts(count, first=self.journal.head + 1))

    def grow(self, count: int) -> None:
        self.append(count)
        self.uplink.entries_stored(self.journal.head)

    def start(self, *, up: bool = True, workers: Workers | None = None) -> Harness:
        self.uplink.publish(wire.Status(online=True, version="1", boot="boot-1"))
        self.uplink.publish(wire.State(state="idle"))
        runs = {"network": self.uplink.run_network, "uplink": self.uplink.run}
        if workers is not None:
            for name, run in runs.items():
                workers.start(name, run)
            self.threads = workers._threads
        else:
            self.threads = [threading.Thread(target=run) for run in runs.values()]
            for thread in self.threads:
                thread.start()
        if up:
            wait(lambda: LinkChanged(connected=True) in self.posted, "the connection")
            wait(self._is_subscribed, "the subscription")
        return self

    def _is_subscribed(self) -> bool:
        """Whether nothing said to the gate is missed: the broker has what follows the subscriptions (1), the status (2).

        The state (3) is published last: by then the status was, too.
        """
        client = self.uplink._client
        return client is None or (client._last_mid >= 3 and 2 not in client._out_messages)

    def advance(self, ms: int) -> None:
        """Let time pass, and wake the uplink as its own timer would."""
        self.ms += ms
        self.uplink.entries_stored(self.journal.head)

    def hash(self, seq: int) -> bytes:
        with contextlib.closing(JournalReader(self.journal.path)) as reader:
            found = reader.hash_at(seq)
        assert found is not None
        return found

    def bodies(self) -> list[bytes]:
        with contextlib.closing(JournalReader(self.journal.path)) as reader:
            return [entry.body for entry in reader.after(0, most=100_000)]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.posted if isinstance(event, kind)]

    def stop(self) -> None:
        self.uplink.stop()
        for thread in self.threads:
            thread.join(HANGS_S)
            assert not thread.is_alive()
        self.journal.close()
        self.uplink._journal.close()


def password(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mqtt.password"
    path.write_text(f"{text}\n")
    return path

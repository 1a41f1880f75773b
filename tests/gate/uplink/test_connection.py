"""The uplink on a real Mosquitto: what is published, which acks are obeyed, and how a bad broker is told."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import seal, wire
from fabgate.demo.ports import free_port
from fabgate.errors import JournalError, UsageError
from fabgate.gate.config.gate_yaml import JournalOptions, Mqtt, Tls, UplinkOptions
from fabgate.gate.config.keys import gate_keys
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Draft, Journal
from fabgate.gate.uplink.connection import BATCH, Uplink
from fabgate.gate.uplink.events import (
    CommandArrived,
    CommandsRefused,
    ForkFound,
    LinkChanged,
    MarkMoved,
    MessageArrived,
    OwnCertificate,
    RosterNudged,
)
from fabgate.gate.uplink.network import client_id
from fabgate.gate.workers import WorkerFailed, Workers
from fabgate.mqtt import certificates
from fabgate.seal import Keys
from tests.gate.shell import Bench, drafts, gate_config, wait
from tests.gate.uplink.test_commands import command, now, sealed
from tests.support.certificates import make_certificates, sign
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


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with listening(broker.plain_port) as found:
        yield found


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Harness]]:
    broker: Mosquitto | None = request.getfixturevalue("broker") if "broker" in request.fixturenames else None
    made: list[Harness] = []

    def harness(port: int, **options: Any) -> Harness:
        if broker is not None and broker.ca:
            options.setdefault("tls", Tls(ca=broker.ca))
        made.append(Harness(tmp_path / f"gate-{len(made)}", port, **options))
        return made[-1]

    yield harness
    for one in made:
        one.stop()


pytestmark = [pytest.mark.broker, needs_broker]

# --- what is published ------------------------------------------------------------------------------------------------


def test_entries_arrive_in_order_with_the_very_bytes_that_were_stored(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=120).start()
    listener.take(harness, 120, "all entries")
    harness.grow(5)
    wait(lambda: len(listener.events()) == 125, "the new ones")
    assert [message.payload for message in listener.events()] == harness.bodies()
    first = listener.events()[0]
    assert first.topic == f"{BASE}/event/access/refused"
    assert first.qos == 1
    assert not first.retain
    assert first.properties.ContentType == "application/cloudevents+json"
    assert first.properties.UserProperty == [("journal", harness.journal.id), ("seq", "1")]
    assert listener.seqs() == list(range(1, 126))


def test_large_entries_arrive_whole_and_in_order_through_a_slow_line(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    with slow_line(broker.port) as port:
        harness = make(port)
        clock = wire.Clock(boot="b", boottime_ms=1)
        reasons = ["x" * 25_000]
        for n in range(60):
            data = wire.AccessRefused(clock=clock, badge=str(n), reasons=reasons)
            harness.journal.append([Draft(f"u{n}", "access.refused", data, None)])
        harness.uplink.entries_stored(harness.journal.head)
        harness.start()
        listener.take(harness, 60, "all entries")
        assert listener.seqs() == list(range(1, 61))
        assert len(harness.of(LinkChanged)) == 1, "the stream was torn, and the broker hung up"


@contextlib.contextmanager
def slow_line(to: int) -> Iterator[int]:
    """Forward a port with small buffers and pauses, so that the sender's side fills up."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threads: list[threading.Thread] = []

        def forward(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(3_000):
                    target.sendall(data)
                    time.sleep(0.0005)
            for sock in (source, target):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    far = socket.create_connection(("127.0.0.1", to))
                    pair = [threading.Thread(target=forward, args=ends) for ends in ((near, far), (far, near))]
                    sockets.extend((near, far))
                    threads.extend(pair)
                    for thread in pair:
                        thread.start()

        sockets: list[socket.socket] = []
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for sock in sockets:
            sock.close()


def test_without_an_ack_everything_is_published_again_from_the_mark_with_a_status(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=3).start()
    wait(lambda: listener.seqs() == [1, 2, 3], "the entries")
    statuses = len(listener.statuses())
    harness.advance(10_001)
    wait(lambda: listener.seqs() == [1, 2, 3] * 2, "the entries again")
    assert len(listener.statuses()) > statuses
    harness.advance(10_001)
    listener.announce()
    assert len(listener.seqs()) == 6, "the pause has doubled"
    harness.advance(20_001)
    wait(lambda: len(listener.seqs()) == 9, "the entries once more")


def test_the_broker_alone_confirms_nothing(broker: Mosquitto, listener: Listener, make: Callable[..., Harness]) -> None:
    harness = make(broker.port, entries=3).start()
    wait(lambda: len(listener.events()) == 3, "the entries")
    wait(lambda: harness.uplink._delivery.room() == 0 and not harness.uplink._mids, "the broker's word")
    assert harness.of(MarkMoved) == []


def test_status_and_state_come_on_connect_with_each_change_and_with_the_heartbeat(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=2).start()
    wait(lambda: listener.statuses() and listener.on(f"{BASE}/state"), "the greetings")
    first = listener.statuses()[0]
    assert first == wire.Status(
        online=True,
        version="1",
        boot="boot-1",
        journal=harness.journal.id,
        floor=1,
        head=2,
        mark=0,
        hash=seal.to_text(seal.ZERO_HASH),
    )
    listener.received.clear()
    harness.uplink.publish(wire.State(state="active", session="s-1"))
    wait(lambda: listener.on(f"{BASE}/state"), "the new state")
    harness.advance(60_001)
    wait(lambda: listener.statuses() and len(listener.on(f"{BASE}/state")) == 2, "the heartbeat")
    with listening(broker.plain_port) as late:
        wait(lambda: late.statuses() and late.on(f"{BASE}/state"), "what is retained")
        assert late.on(f"{BASE}/status")[0].retain


def test_a_change_of_the_floor_is_told_at_once(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=9).start()
    wait(lambda: len(listener.events()) == 9, "the entries")
    harness.journal.acknowledge(9)
    harness.journal.trim(before_ms=0, most=4)
    harness.uplink.entries_stored(9)
    wait(lambda: listener.statuses()[-1].floor == 6, "the new floor")
    listener.announce()
    harness.journal.trim(before_ms=0, most=1)
    listener.ack(harness.journal.id, 9, harness.hash(9))
    wait(lambda: harness.uplink._delivery.floor == 9, "an ack after which the floor is known, and not told")
    harness.uplink.entries_stored(9)
    wait(lambda: listener.statuses()[-1].floor == 9, "that floor")


def test_an_orderly_stop_and_a_lost_gate_both_leave_it_offline(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    wait(listener.statuses, "the greeting")
    harness.stop()
    wait(lambda: not listener.statuses()[-1].online, "the last word")
    other = make(broker.port).start()
    wait(lambda: listener.statuses()[-1].online, "the greeting")
    with contextlib.suppress(AttributeError):
        other.uplink._client._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    wait(lambda: not listener.statuses()[-1].online or len(other.of(LinkChanged)) >= 3, "the last will, or a new start")
    offline = [status for status in listener.statuses() if not status.online]
    assert len(offline) == 2


def test_a_name_that_is_given_up_leaves_nothing_retained(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    wait(lambda: listener.statuses() and listener.on(f"{BASE}/state"), "the greetings")
    assert harness.uplink.clear_retained(timeout_s=HANGS_S)
    harness.stop()
    with listening(broker.plain_port) as late:
        late.announce()
        wait(lambda: late.received, "the mark of the end")
        assert not late.on(f"{BASE}/status")
        assert not late.on(f"{BASE}/state")


def test_nothing_can_be_cleared_without_a_connection(make: Callable[..., Harness]) -> None:
    assert not make(free_port()).uplink.clear_retained(timeout_s=1)


def test_nothing_is_cleared_by_a_connection_that_went_a_moment_ago(make: Callable[..., Harness]) -> None:
    uplink = make(free_port()).uplink
    uplink._client = (
        uplink._network.new_client()
    )  # it is not connected any more, and the uplink has not heard of that yet
    assert not uplink.clear_retained(timeout_s=1)


def test_a_reply_is_published(broker: Mosquitto, listener: Listener, make: Callable[..., Harness]) -> None:
    harness = make(broker.port)
    harness.uplink._handle(wire.Reply(id="c-0", outcome="done"))  # nobody is there to hear it
    harness.start()
    harness.uplink.reply(wire.Reply(id="c-1", outcome="refused", detail="late"))
    wait(lambda: listener.on(f"{BASE}/reply"), "the reply")
    assert [json.loads(m.payload) for m in listener.on(f"{BASE}/reply")] == [
        {"id": "c-1", "outcome": "refused", "detail": "late"}
    ]


# --- acks -------------------------------------------------------------------------------------------------------------


def test_an_ack_moves_the_mark(broker: Mosquitto, listener: Listener, make: Callable[..., Harness]) -> None:
    harness = make(broker.port, entries=9).start()
    listener.announce()
    listener.ack(harness.journal.id, 7, harness.hash(7))
    wait(lambda: MarkMoved(7) in harness.posted, "the mark")
    harness.advance(60_001)
    wait(lambda: listener.statuses()[-1].mark == 7, "the status")
    assert listener.statuses()[-1].collector == COLLECTOR
    assert listener.statuses()[-1].hash == seal.to_text(harness.hash(7))


@pytest.mark.parametrize("first", ["ack", "status"])
def test_a_retained_ack_and_the_collectors_status_may_come_in_either_order(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], first: str
) -> None:
    harness = make(broker.port, entries=4)
    listener.ack(harness.journal.id, 4, harness.hash(4), retain=True)
    if first == "status":
        listener.announce()
    harness.start()
    wait(listener.statuses, "the greeting")
    if first == "ack":
        assert harness.of(MarkMoved) == []
        listener.announce()
    wait(lambda: MarkMoved(4) in harness.posted, "the mark")


@pytest.mark.parametrize("wrong", ["collector", "journal"])
def test_an_ack_of_another_collector_or_another_journal_is_not_ours(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], wrong: str
) -> None:
    harness = make(broker.port, entries=4).start()
    listener.announce()
    if wrong == "collector":
        listener.ack(harness.journal.id, 3, harness.hash(3), "collector-2")
    else:
        listener.ack("another", 3, harness.hash(3))
    listener.ack(harness.journal.id, 2, harness.hash(2))
    wait(lambda: harness.of(MarkMoved), "the mark")
    assert harness.of(MarkMoved) == [MarkMoved(2)]
    assert harness.of(ForkFound) == []


def test_a_collector_that_is_announced_as_offline_is_not_followed(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=4).start()
    listener.announce()
    listener.ack(harness.journal.id, 2, harness.hash(2))
    wait(lambda: MarkMoved(2) in harness.posted, "the mark")
    listener.announce("collector-2", online=False)  # the last will of one that ran before, published late
    listener.ack(harness.journal.id, 4, harness.hash(4), "collector-2")
    listener.ack(harness.journal.id, 3, harness.hash(3))
    wait(lambda: MarkMoved(3) in harness.posted, "the mark of the one that is online")
    assert MarkMoved(4) not in harness.posted
    listener.announce("collector-2")
    wait(lambda: MarkMoved(4) in harness.posted or listener.statuses()[-1].collector == "collector-2", "the other one")
    listener.ack(harness.journal.id, 4, harness.hash(4), "collector-2")
    wait(lambda: MarkMoved(4) in harness.posted, "the mark of one that took over")


def test_a_message_larger_than_any_of_ours_is_kept_out_by_the_broker(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture
) -> None:
    harness = make(broker.port, entries=1).start()
    listener.announce()
    listener.say(f"{BASE}/ack", b"x" * 1_000_000)
    listener.ack(harness.journal.id, 1, harness.hash(1))
    wait(lambda: MarkMoved(1) in harness.posted, "what follows")
    assert "refused a message" not in caplog.text, "1 MB was read to be refused"
    assert len(harness.of(LinkChanged)) == 1


def test_a_configured_collector_is_obeyed_before_it_announces_itself_and_no_other_ever(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=4, collector_id=COLLECTOR).start()
    listener.ack(harness.journal.id, 2, harness.hash(2))
    wait(lambda: MarkMoved(2) in harness.posted, "the mark")
    listener.ack(harness.journal.id, 4, harness.hash(4), "collector-2")
    listener.announce("collector-2")
    listener.ack(harness.journal.id, 3, harness.hash(3))
    wait(lambda: MarkMoved(3) in harness.posted, "the mark of the configured one")
    assert MarkMoved(4) not in harness.posted


@pytest.mark.parametrize("why", ["hash", "head"])
def test_another_history_of_the_journal_is_a_fork_that_is_told_once_and_ends_the_publishing(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], why: str
) -> None:
    harness = make(broker.port, entries=4).start()
    wait(lambda: len(listener.events()) == 4, "the entries")
    listener.announce()
    for _ in range(3):
        listener.ack(harness.journal.id, 3 if why == "hash" else 5, b"\x01" * 32)
    wait(lambda: harness.of(ForkFound), "the fork")
    statuses = len(listener.statuses())
    harness.grow(2)
    harness.advance(60_001)
    listener.say(f"{BASE}/roster", b"{}")
    wait(lambda: harness.of(RosterNudged), "the end of what was said")
    assert harness.of(ForkFound) == [ForkFound()]
    assert harness.of(MarkMoved) == []
    assert len(listener.events()) == 4
    assert len(listener.statuses()) == statuses
    harness.journal.renew("j2", drafts(1, uid="f")[0])
    listener.received.clear()
    harness.uplink.journal_replaced()
    wait(lambda: len(listener.events()) == 7, "the new journal")
    assert listener.statuses()[0].journal == "j2"
    assert listener.seqs() == [1, 2, 3, 4, 5, 6, 7]
    assert {dict(message.properties.UserProperty)["journal"] for message in listener.events()} == {"j2"}
    listener.ack("j2", 7, harness.hash(7))
    wait(
        lambda: MarkMoved(7, generation=1) in harness.posted,
        "the mark of the journal that was read after it was renewed",
    )


class Fragile(JournalReader):
    """A reader that a sick disk does not let open for so many times."""

    refusals = 0

    def __init__(self, path: Path) -> None:
        if Fragile.refusals:
            Fragile.refusals -= 1
            raise JournalError(f"{path}: the journal cannot be read (disk I/O error)")
        super().__init__(path)


def test_a_renewed_journal_that_cannot_be_read_at_first_is_read_as_soon_as_it_can(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=2)
    harness.uplink._journal.close()
    harness.uplink._journal = Fragile(harness.journal.path)
    workers = Workers(harness.posted.append)
    harness.start(workers=workers)
    wait(lambda: len(listener.events()) == 2, "the entries")
    harness.journal.renew("j2", drafts(1, uid="f")[0])
    listener.received.clear()
    Fragile.refusals = 2
    harness.uplink.journal_replaced()
    wait(lambda: len(listener.events()) == 3, "the new journal")
    assert Fragile.refusals == 0
    assert {dict(message.properties.UserProperty)["journal"] for message in listener.events()} == {"j2"}
    wait(lambda: listener.statuses() and listener.statuses()[-1].journal == "j2", "the status")
    assert [failed.name for failed in harness.of(WorkerFailed)] == ["uplink"] * 2, "a person can see why nothing moves"


def test_acks_that_come_between_a_fork_and_the_new_journal_move_nothing(make: Callable[..., Harness]) -> None:
    harness = make(free_port(), entries=4, collector_id=COLLECTOR)

    def ack(seq: int, digest: bytes) -> None:
        found = wire.Ack(collector=COLLECTOR, journal=harness.journal.id, seq=seq, hash=seal.to_text(digest))
        harness.uplink._turn(MessageArrived(f"{BASE}/ack", wire.encode(found)))

    ack(4, b"\x01" * 32)
    ack(2, harness.hash(2))  # it would be taken for one of the new journal, where number 2 is another entry
    assert harness.of(ForkFound) == [ForkFound()]
    assert harness.of(MarkMoved) == []


def test_an_ack_below_what_is_kept_is_no_fork(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=9).start()
    wait(lambda: len(listener.events()) == 9, "the entries")
    listener.announce()
    listener.ack(harness.journal.id, 9, harness.hash(9))
    wait(lambda: MarkMoved(9) in harness.posted, "the mark")
    harness.journal.acknowledge(9)
    harness.journal.trim(before_ms=0, most=4)  # and the uplink has not heard of it yet
    listener.ack(harness.journal.id, 2, b"\x07" * 32)
    wait(lambda: harness.uplink._delivery._below is not None, "the ack")
    listener.received.clear()
    harness.advance(5_001)
    wait(lambda: MarkMoved(5) in harness.posted, "the mark, which is also kept")
    wait(lambda: listener.seqs() == [6, 7, 8, 9], "all that is kept")
    assert harness.of(ForkFound) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b'{"collector":"collector-1"}',
        b'{"collector":"collector-1","journal":"%j","seq":-1,"hash":""}',
        b'{"collector":"collector-1","journal":"%j","seq":3,"hash":"AAAA"}',
        b'{"collector":"collector-1","journal":"%j","seq":3,"hash":"\xc3\xa4"}',
        b'{"collector":"collector-1","journal":"%j","seq":' + b"9" * 40 + b',"hash":""}',
        b'{"collector":"collector-1","journal":"%j","seq":"3","hash":""}',
        b"[" * 60_000,
        b"x" * (wire.MAX_MESSAGE_BYTES + 1),
    ],
)
def test_a_message_that_makes_no_sense_is_a_line_in_the_log_and_nothing_else(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    caplog.set_level(logging.WARNING)
    harness = make(broker.port, entries=4).start()
    listener.announce()
    listener.say(f"{BASE}/ack", body.replace(b"%j", harness.journal.id.encode()))
    listener.say(f"{BASE}/roster", body)
    listener.ack(harness.journal.id, 4, harness.hash(4))
    wait(lambda: MarkMoved(4) in harness.posted, "a good ack")
    assert harness.of(MarkMoved) == [MarkMoved(4)]
    assert harness.of(ForkFound) == []
    assert len(harness.of(LinkChanged)) == 1
    refused = [record.getMessage() for record in caplog.records if "refused a message" in record.getMessage()]
    assert refused
    assert f"on {BASE}/ack" in refused[0]
    assert "Traceback" not in caplog.text


def test_a_collectors_status_that_makes_no_sense_is_refused(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture
) -> None:
    harness = make(broker.port, entries=1).start()
    listener.say("fabgate/v1/lyon/collector/status", b"{}")
    refusal = "refused a message on fabgate/v1/lyon/collector/status"
    wait(lambda: refusal in caplog.text, "the refusal, before another status takes its place")
    listener.announce()
    listener.ack(harness.journal.id, 1, harness.hash(1))
    wait(lambda: MarkMoved(1) in harness.posted, "a good ack")


def test_nudges_and_sealed_commands_are_handed_on_and_others_are_counted(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    payload, its_seal = sealed(command())
    listener.say(f"{BASE}/command", b"\x00whatever", UserProperty=("seal", "k1:abc"))
    listener.say(f"{BASE}/command", payload)
    listener.say(f"{BASE}/command", payload, UserProperty=("seal", its_seal))
    listener.say(f"{BASE}/roster", b'{"version":1}')
    wait(lambda: harness.of(RosterNudged), "the nudge")
    assert harness.of(CommandArrived) == [CommandArrived(command())]
    assert [told.count for told in harness.of(CommandsRefused)] == [1], "told once, not for each"
    harness.advance(60_001)
    wait(lambda: len(harness.of(CommandsRefused)) == 2, "the count, with the heartbeat")
    assert harness.of(CommandsRefused)[1].count == 2
    assert "found no seal" in harness.of(CommandsRefused)[1].detail


def test_each_new_connection_leads_to_a_status_and_to_a_look_for_a_roster_that_was_missed(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    listener.say(f"{BASE}/roster", b'{"version":1}', retain=True)
    harness = make(broker.port).start()
    wait(lambda: len(harness.of(RosterNudged)) == 1, "the nudge")
    harness.uplink.handled(RosterNudged())
    wait(listener.statuses, "the greeting")
    listener.received.clear()
    assert harness.uplink._client is not None
    harness.uplink._client._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    wait(lambda: len(harness.of(RosterNudged)) == 2, "the nudge that waited at the broker")
    wait(
        lambda: listener.statuses() and listener.statuses()[-1].online,
        "the greeting, with or without a last will before it",
    )


def test_a_flood_holds_up_neither_entries_nor_the_heartbeat(make: Callable[..., Harness]) -> None:
    harness = make(free_port())
    taken: list[object] = []
    harness.uplink._handle = taken.append  # type: ignore[method-assign]
    turns: list[int] = []

    def turn(event: object) -> None:
        turns.append(len(taken))
        if len(turns) < 50:
            for _ in range(2 * BATCH):  # the flood never ends
                harness.uplink._queue.put(MessageArrived(f"{BASE}/command", b""))
        else:
            harness.uplink.stop()

    harness.uplink._turn = turn  # type: ignore[method-assign]
    harness.uplink._queue.put(MessageArrived(f"{BASE}/command", b""))
    harness.uplink.run()
    assert max(b - a for a, b in itertools.pairwise(turns)) == BATCH


def test_a_topic_that_was_not_asked_for_is_ignored(make: Callable[..., Harness]) -> None:
    harness = make(free_port())
    harness.uplink._handle(MessageArrived("fabgate/v1/lyon/saw/ack", b"{}"))
    assert harness.posted == []


# --- the broker -------------------------------------------------------------------------------------------------------


def test_a_broker_that_comes_late_and_is_restarted_is_found_each_time(
    tmp_path: Path, make: Callable[..., Harness]
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    harness = make(broker.port, entries=3).start(up=False)
    wait(lambda: harness.of(LinkChanged), "the problem")
    assert "ConnectionRefusedError" in harness.of(LinkChanged)[0].problem
    broker.start()
    try:
        wait(lambda: LinkChanged(connected=True) in harness.posted, "the connection")
        broker.kill()
        wait(lambda: not harness.of(LinkChanged)[-1].connected, "the loss")
        harness.grow(2)
        broker.start()
        with listening(broker.port) as listener:
            wait(lambda: harness.of(LinkChanged)[-1].connected, "the connection")
            harness.advance(10_001)  # what came before the ear was there comes again
            wait(lambda: listener.seqs()[-5:] == [1, 2, 3, 4, 5], "everything from the mark")
    finally:
        broker.stop()


def test_however_long_the_broker_is_away_it_is_tried_again_within_two_seconds_and_not_in_step(
    tmp_path: Path, make: Callable[..., Harness]
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    harness = make(broker.port).start(up=False)
    wait(lambda: len(harness.pauses) >= 30, "thirty attempts")
    broker.start()
    try:
        wait(lambda: LinkChanged(connected=True) in harness.posted, "the connection")
        assert all(1 <= pause <= 2 for pause in harness.pauses)
        assert len(set(harness.pauses)) > 20, "a hundred gates would come at the same moment"
    finally:
        broker.stop()


def test_a_broker_that_refuses_the_password_is_asked_ever_more_rarely_until_it_lets_the_gate_in(
    guarded: Mosquitto, tmp_path: Path, make: Callable[..., Harness]
) -> None:
    secret = password(tmp_path, "wrong")
    harness = make(guarded.port, username="lyon/laser-1", password_file=secret).start(up=False)
    wait(lambda: len(harness.pauses) >= 6, "six refusals")
    for pause, most in zip(harness.pauses, (4, 8, 16, 30, 30, 30), strict=False):
        assert most / 2 <= pause <= most
    password(tmp_path, "secret of lyon/laser-1")
    wait(lambda: LinkChanged(connected=True) in harness.posted, "the connection")
    refused = len(harness.pauses)
    guarded.kill()
    wait(lambda: len(harness.pauses) > refused, "the loss")
    assert harness.pauses[refused] <= 2


def test_the_kernel_asks_a_silent_line_whether_it_is_dead_and_hangs_up_within_ten_seconds(
    broker: Mosquitto, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    assert harness.uplink._client is not None
    line = harness.uplink._client.socket()
    assert isinstance(line, socket.socket)
    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle_s, between_s, unanswered_ms = (
        line.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
    )
    assert idle_s + between_s < 10
    assert 0 < unanswered_ms <= 10_000


def test_a_broker_that_accepts_and_never_answers_is_told_and_tried_again(make: Callable[..., Harness]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        harness = make(silent.getsockname()[1]).start(up=False)
        first, _ = silent.accept()
        with first:

            def later() -> list[LinkChanged]:
                harness.ms += 10_001
                return harness.of(LinkChanged)

            wait(later, "the problem")
            assert harness.of(LinkChanged)[0] == LinkChanged(
                connected=False, problem="the broker did not answer within 10 s"
            )
            second, _ = silent.accept()
            second.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x00", b"\xff" * 64, b""])
def test_something_that_is_no_broker_is_told_and_tried_again(make: Callable[..., Harness], answer: bytes) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        harness = make(server.getsockname()[1]).start(up=False)
        for _ in range(2):
            sock, _ = server.accept()
            with sock:
                sock.recv(10_000)
                sock.sendall(answer)
        wait(lambda: harness.of(LinkChanged), "the problem")
        assert not any(link.connected for link in harness.of(LinkChanged))
        assert all(thread.is_alive() for thread in harness.threads)


def test_a_second_gate_of_the_same_name_is_told(broker: Mosquitto, make: Callable[..., Harness]) -> None:
    """Mosquitto 2.0.21 (Debian 13) says that the session was taken over; 2.0.11 (Debian 12) closes without a word."""
    harness = make(broker.port).start()
    copied = client_id("lyon/laser-1", gate_keys(harness.config))
    clone = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=copied, protocol=paho.MQTTv5)

    def is_told() -> bool:
        links = harness.of(LinkChanged)
        if links[-1].connected:  # the gate threw the clone out, which comes back as a gate would
            clone.connect("127.0.0.1", broker.plain_port)
            clone.loop(1.0)
        return any("look for a second gate that is named lyon/laser-1" in link.problem for link in links)

    try:
        wait(is_told, "the problem")
    finally:
        clone.disconnect()
        clone.loop(0.2)


def test_nobody_who_only_knows_the_name_of_a_gate_throws_it_out(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    stranger = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="lyon-laser-1", protocol=paho.MQTTv5)
    connected: list[Any] = []
    stranger.on_connect = lambda *_: connected.append(1)
    stranger.connect("127.0.0.1", broker.plain_port)
    while not connected:
        stranger.loop(1.0)
    harness.grow(1)
    listener.take(harness, 1, "the next entry")
    assert [link.connected for link in harness.of(LinkChanged)] == [True]
    stranger.disconnect()
    stranger.loop(0.2)


def test_a_copy_of_a_gate_has_its_client_id_and_no_other_gate_has() -> None:
    key, other = Keys({"k1": bytes(32)}), Keys({"k1": bytes(31) + b"1"})
    ids = [client_id("lyon/laser-1", key), client_id("lyon/laser-2", key), client_id("lyon/laser-1", other)]
    assert client_id("lyon/laser-1", Keys({"k1": bytes(32), "k2": bytes(range(32))})) == ids[0]
    assert len(set(ids)) == 3
    assert not any("laser" in found for found in ids)


def test_what_the_broker_refuses_to_publish_is_told_in_the_log(
    tmp_path: Path, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic read #\ntopic write {BASE}/status\n")
    broker = Mosquitto(tmp_path / "broker", acl_file=acl).start()
    try:
        harness = make(broker.port, entries=1).start()
        wait(lambda: "the broker refused a message: Not authorized; check its access list" in caplog.text, "a line")
        assert len(harness.of(LinkChanged)) == 1
    finally:
        broker.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with two gates, a collector and the access list of wire.md."""
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("no mosquitto_passwd here")
    for n, user in enumerate(("lyon/laser-1", "lyon/saw", "collector")):
        create = ["-c"] if n == 0 else []
        subprocess.run([tool, "-b", *create, passwords, user, f"secret of {user}"], check=True, capture_output=True)
    lines = [f"pattern write fabgate/v1/%u/{leaf}" for leaf in ("event/#", "status", "state", "reply")]
    lines += [f"pattern read fabgate/v1/%u/{leaf}" for leaf in ("ack", "command", "roster")]
    lines += ["pattern read fabgate/v1/lyon/collector/status", "user collector", "topic readwrite fabgate/v1/#"]
    acl.write_text("\n".join(lines) + "\n")
    found = Mosquitto(tmp_path / "broker", password_file=passwords, acl_file=acl).start()
    yield found
    found.stop()


def password(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mqtt.password"
    path.write_text(f"{text}\n")
    return path


def test_a_wrong_password_is_visible_in_status_json(guarded: Mosquitto, tmp_path: Path) -> None:
    secret = password(tmp_path, "wrong")
    mqtt = Mqtt(host="127.0.0.1", port=guarded.port, username="lyon/laser-1", password_file=secret)
    bench = Bench(tmp_path / "gate", mqtt=mqtt)
    try:
        bench.start()
        found = bench.wait_for_status(lambda status: "refused" in status["mqtt"]["problem"])
        assert found["mqtt"]["connected"] is False
        assert found["mqtt"]["problem"] == "the broker refused the connection: Not authorized"
        bench.use("ada")
        password(tmp_path, "secret of lyon/laser-1")
        bench.wait_for_status(lambda status: status["mqtt"]["connected"])
        assert bench.output.on
    finally:
        bench.close()


def test_a_password_file_that_is_missing_is_told(
    broker: Mosquitto, tmp_path: Path, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, username="lyon/laser-1", password_file=tmp_path / "none").start(up=False)
    wait(lambda: harness.of(LinkChanged), "the problem")
    assert "No such file" in harness.of(LinkChanged)[0].problem


def test_a_gate_can_neither_speak_as_its_neighbour_nor_write_its_own_acks(
    guarded: Mosquitto, tmp_path: Path, make: Callable[..., Harness]
) -> None:
    secret = password(tmp_path, "secret of lyon/laser-1")
    with listening(guarded.port, username="collector", password="secret of collector") as listener:
        harness = make(guarded.port, entries=2, username="lyon/laser-1", password_file=secret).start()
        wait(lambda: len(listener.events()) == 2 and listener.statuses(), "what is its own")
        client = harness.uplink._client
        assert client is not None
        for topic in (
            "fabgate/v1/lyon/saw/event/session/ended",
            "fabgate/v1/lyon/saw/status",
            f"{BASE}/ack",
            f"{BASE}/command",
            f"{BASE}/roster",
            "fabgate/v1/lyon/collector/status",
        ):
            client.publish(topic, b"forged", qos=1).wait_for_publish(HANGS_S)
        listener.announce()
        listener.ack(harness.journal.id, 2, harness.hash(2))
        wait(lambda: MarkMoved(2) in harness.posted, "the true ack")
        assert not [message for message in listener.received if message.payload == b"forged"]
        assert harness.of(RosterNudged) == harness.of(CommandArrived) == []


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_entries_arrive_over_tls_with_an_own_authority_and_certificate(
    tmp_path: Path, papers: Path, make: Callable[..., Harness]
) -> None:
    tls = (papers / "broker.pem", papers / "broker.key", papers / "ca.pem")
    broker = Mosquitto(tmp_path / "broker", tls=tls, plain_port=free_port()).start()
    try:
        with listening(broker.plain_port) as listener:
            own = Tls(ca=papers / "ca.pem", cert=papers / "gate.pem", key=papers / "gate.key")
            harness = make(broker.port, entries=50, tls=own).start()
            listener.take(harness, 50, "the entries")
            assert listener.seqs() == list(range(1, 51))
            assert harness.of(OwnCertificate) == [OwnCertificate(certificates.ends(papers / "gate.pem"))]
    finally:
        broker.stop()


# paho forgets to close the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_whose_authority_is_not_known_is_not_trusted(
    tmp_path: Path, papers: Path, make: Callable[..., Harness]
) -> None:
    broker = Mosquitto(tmp_path / "broker", tls=(papers / "broker.pem", papers / "broker.key")).start()
    try:
        harness = make(broker.port, tls=Tls(ca=papers / "other-ca.pem")).start(up=False)
        wait(lambda: harness.of(LinkChanged), "the problem")
        assert "certificate verify failed" in harness.of(LinkChanged)[0].problem
        plain = make(broker.port).start(up=False)
        wait(lambda: plain.of(LinkChanged), "the problem")
        assert not plain.of(LinkChanged)[0].connected
    finally:
        broker.stop()


# paho forgets to close the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_gate_names_an_expired_certificate_of_its_broker(tmp_path: Path, make: Callable[..., Harness]) -> None:
    own = tmp_path / "papers"
    own.mkdir()
    sign(make_certificates(own), "broker", days=-1)
    broker = Mosquitto(tmp_path / "broker", papers=own).start()
    try:
        harness = make(broker.port, tls=Tls(ca=own / "ca.pem")).start(up=False)
        wait(lambda: harness.of(LinkChanged), "the problem")
        assert harness.of(LinkChanged)[0].problem.startswith("the broker's certificate has expired: renew it")
    finally:
        broker.stop()


# --- through the whole gate -------------------------------------------------------------------------------------------


def test_a_command_reaches_the_machine_and_is_answered(broker: Mosquitto, listener: Listener, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "gate", mqtt=way_to(broker))
    try:
        bench.start()
        bench.wait_for_status(lambda status: status["mqtt"]["connected"])
        bench.use("ada")
        payload, its_seal = sealed(now(bench, "stop"))
        listener.say(f"{BASE}/command", payload, UserProperty=("seal", its_seal))
        wait(lambda: not bench.output.on, "the stop")
        wait(lambda: listener.on(f"{BASE}/reply"), "the reply")
        assert json.loads(listener.on(f"{BASE}/reply")[0].payload)["outcome"] == "done"
        kinds = [message.topic.split("/event/")[1] for message in listener.events()]
        wait(lambda: "session/ended" in [m.topic.split("/event/")[1] for m in listener.events()], "the end")
        assert kinds[0] == "gate/started"
        assert listener.statuses()[-1].boot == "boot-1"
        assert "m-ada" in "".join(m.payload.decode() for m in listener.on(f"{BASE}/state"))
    finally:
        bench.close()


def test_a_floor_that_moves_while_nothing_else_happens_is_told_before_the_next_heartbeat(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    options = JournalOptions(keep_days=1)
    bench = Bench(tmp_path / "gate", mqtt=way_to(broker), journal=options)
    try:
        bench.start()
        bench.use("ada")
        bench.tap("ada")
        bench.written()
        bench.time.wall += 3 * 86_400
        bench.settle()
        bench.written()
        wait(lambda: [m.topic for m in listener.events()][-1].endswith("clock/synced"), "the newest entry")
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            head = reader.bounds()[1]
            journal, digest = reader.id, reader.hash_at(head)
        assert digest is not None
        listener.announce()
        wait(lambda: listener.statuses()[-1].collector == COLLECTOR, "the collector")
        listener.ack(journal, head, digest)
        wait(lambda: listener.statuses()[-1].floor == head, "the new floor")
    finally:
        bench.close()


def test_a_gate_without_a_broker_has_no_uplink(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Uplink(gate_config(tmp_path), None, print)  # type: ignore[arg-type]
    assert issubclass(UsageError, ValueError)

"""The ingest process beside a real Mosquitto."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fabgate import seal, wire
from fabgate.collector.recording.broker.message import Received
from tests.collector.gates import Journal
from tests.collector.processes.uplink import uplink
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.broker


class Ingest:
    """``python -m fabgate.collector ingest`` as a process."""

    def __init__(self, home: Path, broker: Mosquitto, *arguments: str) -> None:
        self.home = home
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
        environment |= {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(home), "FABGATE_MQTT_PORT": str(broker.port)}
        if broker.ca:
            environment["FABGATE_MQTT_CA"] = str(broker.ca)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fabgate.collector", "ingest", *arguments],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=HANGS_S)
        return self.process.returncode, errors

    def rows(self, statement: str) -> list[tuple]:
        connection = sqlite3.connect(f"file:{self.home / 'collector.db'}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


#: For what does not depend on the connection.
WITHOUT_TLS = pytest.mark.parametrize("broker", ["plain"], indirect=True)


@pytest.fixture
def start(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., Ingest]]:
    """Start an ingest on a home of this test; whatever still runs at the end is killed."""
    started: list[Ingest] = []

    def begin(home: str, *arguments: str) -> Ingest:
        started.append(Ingest(tmp_path / home, broker, *arguments))
        return started[-1]

    yield begin
    for ingest in started:
        if ingest.process.poll() is None:
            ingest.kill()


def a_day(sessions: int) -> tuple[Journal, dict[str, int]]:
    journal, wanted = Journal(), {}
    journal.write("gate.started", version="1")
    for number in range(sessions):
        journal.start(f"s-{number}", f"m-{number % 7}")
        journal.progress(f"s-{number}", 1000 + number, f"m-{number % 7}")
        journal.end(f"s-{number}", 2000 + number, f"m-{number % 7}")
        wanted[f"s-{number}"] = 2000 + number
    return journal, wanted


def test_what_a_gate_publishes_is_stored_and_acknowledged_with_its_hash(broker, start):
    journal, wanted = a_day(50)
    ingest = start("c")
    with uplink(broker, journal) as gate:
        collector = gate.wait_for_collector()
        ack = gate.deliver()
        assert (ack.collector, ack.hash) == (collector, seal.to_text(journal.hash(journal.head)))
        code, errors = ingest.stop()
        assert code == 0, errors
        assert gate.wait_for_collector(online=False) == collector
    assert dict(ingest.rows("SELECT id, energised_ms FROM collector_usagesession WHERE reason = 'badge'")) == wanted


@WITHOUT_TLS
def test_what_is_in_a_deleted_file_is_never_acknowledged_and_no_empty_one_takes_its_place(broker, start):
    journal = Journal()
    journal.write("gate.started", version="1")
    ingest = start("c")
    with uplink(broker, journal) as gate:
        gate.wait_for_collector()
        gate.deliver()
        for file in ingest.home.glob("collector.db*"):
            file.unlink()
        gate.publish(journal.start("s-1"))
        _, errors = ingest.process.communicate(timeout=HANGS_S)
        assert ingest.process.returncode == 1, errors
        assert f"error: found {ingest.home}/collector.db gone while it was in use" in errors
        gate.wait_for_collector(online=False)
        acks = [gate.acks.get_nowait().seq for _ in range(gate.acks.qsize())]
        assert set(acks) <= {1}
    again = start("c")
    _, errors = again.process.communicate(timeout=HANGS_S)
    assert again.process.returncode == 2
    assert errors == (
        f"error: found the keys of a collector in {ingest.home}, but not its collector.db; put the database back, or"
        " restore a copy with `fabgate collector restore FILE --replace`; for a new collector, move the keys away\n"
    )
    assert list(ingest.home.glob("collector.db*")) == []


@WITHOUT_TLS
def test_a_database_that_another_file_replaced_is_noticed_without_a_message(broker, start):
    ingest = start("c")
    with uplink(broker, Journal()) as gate:
        gate.wait_for_collector()
        database = ingest.home / "collector.db"
        other = database.with_name("other.db")
        other.touch()
        other.rename(database)
        _, errors = ingest.process.communicate(timeout=HANGS_S)
    assert ingest.process.returncode == 1, errors
    assert "collector.db replaced by another file while it was in use" in errors


@WITHOUT_TLS
def test_kill_9_of_the_ingest_in_mid_stream_loses_nothing_and_doubles_nothing(broker, start):
    journal, wanted = a_day(700)
    running = [start("c")]
    done = threading.Event()

    def kill_and_start_again() -> None:
        # Each time as soon as something more was stored: in the middle of the stream, wherever that is.
        stored = 0
        while not done.is_set() and len(running) < 5:
            try:
                now = running[-1].rows("SELECT count(*) FROM collector_entry")[0][0]
            except sqlite3.Error:
                now = stored
            if now > stored:
                stored = now
                running[-1].kill()
                running.append(start("c"))

    killer = threading.Thread(target=kill_and_start_again)
    with uplink(broker, journal) as gate:
        killer.start()
        try:
            ack = gate.deliver()
        finally:
            done.set()
            killer.join()
            code, errors = running[-1].stop()
        assert (ack.seq, code) == (journal.head, 0), errors
    assert len(running) > 1
    assert dict(running[-1].rows("SELECT id, energised_ms FROM collector_usagesession")) == wanted
    assert running[-1].rows("SELECT count(*), count(DISTINCT uid), max(seq) FROM collector_entry") == [
        (journal.head, journal.head, journal.head)
    ]
    assert running[-1].rows("SELECT count(*) FROM collector_quarantine") == [(0,)]


def test_a_broker_that_is_killed_and_forgets_everything_costs_nothing(broker, start):
    journal, wanted = a_day(20)
    ingest = start("c")
    with uplink(broker, journal) as gate:
        gate.deliver()
    broker.kill()
    broker.start()
    journal.start("s-last", "m-1")
    journal.end("s-last", 77, "m-1")
    with uplink(broker, journal) as gate:
        assert gate.deliver().seq == journal.head
        assert ingest.stop()[0] == 0
    assert dict(ingest.rows("SELECT id, energised_ms FROM collector_usagesession")) == {**wanted, "s-last": 77}


@WITHOUT_TLS
def test_a_broken_message_stops_nothing(broker, start):
    journal, _ = a_day(2)
    ingest = start("c")
    with uplink(broker, journal) as gate:
        gate.deliver()  # 'online' comes a moment before the subscription; an ack proves that somebody listens
        for body in (b"", b"{", b"\xff" * 10, b"[" * 60_000, b"x" * (wire.MAX_MESSAGE_BYTES + 1)):
            gate.publish(Received(journal.topics.event("gate.started"), body))
            gate.publish(Received(journal.topics.topic("status"), body))
            gate.publish(Received(journal.topics.topic("state"), body))
        gate.publish(Received(journal.topics.event("gate.started"), b"x" * 1_000_000))  # the broker keeps it out
        journal.start("s-last", "m-1")
        journal.end("s-last", 77, "m-1")
        assert gate.deliver().seq == journal.head
        assert ingest.stop()[0] == 0
    assert ingest.rows("SELECT count(*) FROM collector_quarantine WHERE NOT counts")[0][0] >= 10
    assert ingest.rows("SELECT count(*) FROM collector_quarantine WHERE detail LIKE '1000000 bytes%'") == [(0,)]


@WITHOUT_TLS
def test_a_second_collector_refuses_to_start_and_a_takeover_ends_the_first(broker, start):
    journal, _ = a_day(1)
    first = start("c")
    with uplink(broker, journal) as gate:
        one = gate.wait_for_collector()
        second = start("d")
        _, errors = second.process.communicate(timeout=HANGS_S)
        assert second.process.returncode == 1
        assert f"another collector ('{one}') is online" in errors
        third = start("d", "--takeover")
        other = gate.wait_for_collector()
        assert other != one
        _, errors = first.process.communicate(timeout=HANGS_S)
        assert first.process.returncode == 1
        assert gate.deliver().collector == other
        assert third.stop()[0] == 0

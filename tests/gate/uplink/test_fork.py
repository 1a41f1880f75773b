"""A journal whose past the collector knows otherwise continues under another id: whole, once, and to the end of the wire."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabgate import wire
from fabgate.gate.config.gate_yaml import JournalOptions, Mqtt
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.uplink.events import ForkFound
from tests.gate.shell import Bench, running, wait
from tests.gate.uplink.harness import BASE, Listener, listening, needs_broker
from tests.support.mosquitto import Mosquitto

#: A broker that nobody runs: what is written waits for a collector.
NOWHERE = Mqtt(host="127.0.0.1", port=1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running(tmp_path) as found:
        found.use("ada")
        found.advance(1_000)
        found.tap("ada")
        found.written()
        yield found


def stored(bench: Bench) -> list[wire.Entry]:
    with contextlib.closing(JournalReader(bench.journal)) as reader:
        assert reader.first_break() is None
        return [wire.decode_entry(entry.body) for entry in reader.after(0, most=1_000)]


def fork(bench: Bench) -> str:
    before = bench.daemon._reports.journal.id
    bench.post(ForkFound())
    wait(lambda: bench.daemon._reports.journal.id != before, "the new journal")
    bench.written()
    return bench.daemon._reports.journal.id


def test_a_renewed_journal_keeps_every_fact_and_names_each_original(bench: Bench) -> None:
    old = stored(bench)
    with contextlib.closing(JournalReader(bench.journal)) as reader:
        hashes = {entry.seq: wire_hash(reader, entry.seq) for entry in old}
        before = reader.id
    new = fork(bench)
    first, *copies = stored(bench)
    assert wire.short_type(first.type) == "journal.forked"
    data: Any = wire.decode_data(first)
    assert (data.journal, data.floor, data.head, data.mark) == (before, 1, len(old), 0)
    assert [entry.uid for entry in copies[: len(old)]] == [entry.uid for entry in old]
    assert [bytes(entry.data) for entry in copies[: len(old)]] == [bytes(entry.data) for entry in old]
    assert [entry.copyof for entry in copies[: len(old)]] == [f"{before}/{e.seq}/{hashes[e.seq]}" for e in old]
    assert {entry.journal for entry in [first, *copies]} == {new}


def wire_hash(reader: JournalReader, seq: int) -> str:
    from fabgate.seal import to_text

    found = reader.hash_at(seq)
    assert found is not None
    return to_text(found)


def test_a_second_fork_still_names_the_first_original(bench: Bench) -> None:
    count = len(stored(bench))
    fork(bench)
    once = {entry.uid: entry.copyof for entry in stored(bench)[1 : count + 1]}
    fork(bench)
    twice = {entry.uid: entry.copyof for entry in stored(bench) if entry.uid in once}
    assert twice == once
    assert len([entry for entry in stored(bench) if wire.short_type(entry.type) == "journal.forked"]) == 2


def test_a_renewal_whose_commit_raised_and_was_durable_is_one_renewal(bench: Bench) -> None:
    bench.disk.phantoms = 1
    fork(bench)
    kinds = [wire.short_type(entry.type) for entry in stored(bench)]
    assert kinds.count("journal.forked") == 1
    wait(lambda: bench.causes == [], "the all-clear")


def test_a_fork_on_a_sick_disk_blocks_and_is_done_once_it_recovers(bench: Bench) -> None:
    before = bench.daemon._reports.journal.id
    bench.disk.broken = "disk I/O error"
    bench.post(ForkFound())
    wait(lambda: bench.causes == ["journal"], "the cause")
    assert bench.daemon._reports.journal.id == before
    bench.disk.broken = ""
    wait(lambda: bench.daemon._reports.journal.id != before, "the new journal")
    wait(lambda: bench.causes == [], "the all-clear")


def test_a_running_session_goes_on_through_a_fork(bench: Bench) -> None:
    bench.use("bob")
    fork(bench)
    assert bench.output.on
    bench.advance(31_000)
    bench.written()
    bench.tap("bob")
    bench.written()
    assert bench.of("session.ended")[-1].energised_ms == 31_000


def test_what_a_collector_confirmed_before_a_renewal_does_not_fill_the_new_journal(tmp_path: Path) -> None:
    with running(tmp_path, journal=JournalOptions(max_entries=16), mqtt=NOWHERE) as bench:
        bench.written()
        head = bench.daemon._journal.head
        bench.daemon._recorder.acknowledge(head, 0)
        bench.written()
        for _ in range(8):
            bench.use("ada")
            bench.tap("ada")
            bench.written()
            bench.daemon._recorder.acknowledge(bench.daemon._journal.head, 0)
            bench.written()
        assert bench.causes == []
        copied = bench.daemon._journal.head - bench.daemon._journal.floor + 1
        assert copied == 16
        fork(bench)
        assert bench.causes == []
        assert bench.daemon._reports.problems == {}
        bench.written()
        bench.stop()
        bench.start()
        bench.written()
        assert bench.causes == [], "a restart does not forget it"
        assert bench.daemon._journal.floor == 1, "nothing goes before the new journal is confirmed"
        fork(bench)
        assert bench.causes == [], "nor does a second fork"
        while not bench.causes:
            bench.tap("eve")
            bench.written()
        assert bench.causes == ["journal-full"], "what no collector ever confirmed still counts"
        bench.daemon._recorder.acknowledge(bench.daemon._journal.head, 1)
        bench.written()
        assert bench.causes == []
        assert bench.daemon._journal.floor > 1, "and now the oldest go"


def test_a_fork_of_a_full_journal_is_full(tmp_path: Path) -> None:
    with running(tmp_path, journal=JournalOptions(max_entries=6), mqtt=NOWHERE) as bench:
        while not bench.causes:
            bench.tap("eve")
            bench.written()
        fork(bench)
        assert bench.causes == ["journal-full"]


@pytest.mark.broker
@needs_broker
def test_a_restored_card_is_found_by_the_retained_ack_and_delivered_anew(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker").start()
    bench = Bench(tmp_path / "gate", mqtt=Mqtt(host="127.0.0.1", port=broker.port))
    try:
        with listening(broker.port) as listener:
            listener.announce()
            bench.start()
            bench.written()
            bench.stop()
            image = tmp_path / "image"
            shutil.copytree(bench.config.state_dir, image)
            bench.start()
            bench.use("ada")
            bench.tap("ada")
            bench.written()
            acknowledged(bench, listener)
            bench.stop()
            shutil.rmtree(bench.config.state_dir)
            shutil.copytree(image, bench.config.state_dir)
            listener.received.clear()
            with contextlib.closing(JournalReader(bench.journal)) as reader:
                old = reader.id
            bench.start()
            wait(lambda: bench.daemon._reports.journal.id != old, "the new journal")
            bench.use("bob")
            bench.written()
            new = bench.daemon._reports.journal.id
            head = bench.daemon._journal.head

            def of_new() -> list[int]:
                found = [dict(message.properties.UserProperty) for message in listener.events()]
                return [int(one["seq"]) for one in found if one["journal"] == new]

            wait(lambda: of_new() == list(range(1, head + 1)), "the new journal, from its beginning and once")
            wait(lambda: listener.statuses()[-1].journal == new, "the status")
            assert json_of(listener, 1)["type"] == "fabgate.journal.forked.v1"
    finally:
        bench.close()
        broker.stop()


def acknowledged(bench: Bench, listener: Listener) -> None:
    with contextlib.closing(JournalReader(bench.journal)) as reader:
        head = reader.bounds()[1]
        digest = reader.hash_at(head)
        assert digest is not None
        listener.ack(reader.id, head, digest, retain=True)
    wait(lambda: bench.daemon._journal.mark == head, "the mark")


def json_of(listener: Listener, seq: int) -> Any:
    import json

    (found,) = [m for m in listener.events() if b"journal.forked" in m.payload and m.topic.startswith(BASE)]
    assert dict(found.properties.UserProperty)["seq"] == str(seq)
    return json.loads(found.payload)

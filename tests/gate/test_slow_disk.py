"""A slow disk, and a full journal."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fabgate.gate.config.gate_yaml import JournalOptions
from fabgate.gate.journal.reader import JournalReader
from tests.gate.shell import NOWHERE, Bench, running, wait


def test_a_checkpoint_that_is_late_for_a_minute_ends_the_session_and_recovers(bench: Bench) -> None:
    bench.use("ada")
    bench.disk.hold()
    bench.advance(30_000)
    bench.disk.held.wait()
    bench.advance(57_000)
    assert bench.output.on
    assert bench.causes == []
    bench.advance(1_001)
    assert bench.causes == ["journal"]
    assert not bench.output.on
    assert bench.wait_for_status(lambda found: found["problems"])["problems"] == ["journal: the disk does not answer"]
    bench.disk.go_on()
    wait(lambda: not bench.causes, "the all-clear")
    bench.written()
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.energised_ms) == ("fault", 88_001)


def test_a_disk_that_fails_for_a_moment_ends_no_session_and_one_that_fails_for_a_minute_does(bench: Bench) -> None:
    bench.use("ada")
    bench.disk.broken = "disk I/O error"
    bench.advance(30_000)
    wait(lambda: bench.causes == ["journal"], "the cause")
    assert bench.output.on
    bench.disk.broken = ""
    wait(lambda: not bench.causes, "the all-clear")
    wait(lambda: bench.daemon._recorder.checkpoint_stored_ms == bench.time.ms, "the checkpoint")
    assert bench.output.on
    bench.disk.broken = "disk I/O error"
    bench.advance(30_000)
    wait(lambda: bench.causes == ["journal"], "the cause")
    bench.advance(57_000)
    assert bench.output.on
    bench.advance(1_001)
    wait(lambda: not bench.output.on, "the end of power")
    bench.disk.broken = ""
    assert bench.wait_for_entries("session.ended")[0].reason == "fault"


def test_a_checkpoint_that_hung_and_then_failed_blocks_no_longer_than_the_disk_is_sick(bench: Bench) -> None:
    bench.use("ada")
    bench.disk.hold()
    bench.advance(30_000)
    bench.disk.held.wait()
    bench.advance(60_000)
    assert bench.causes == ["journal"]
    bench.disk.broken = "disk I/O error"
    bench.disk.go_on()
    bench.wait_for_status(lambda found: any("disk I/O" in line for line in found["problems"]))
    bench.disk.broken = ""
    wait(lambda: not bench.causes, "the all-clear")
    bench.written()
    bench.use("bob")


def test_a_journal_that_only_unacknowledged_entries_fill_warns_at_80_percent_and_blocks_when_full(
    tmp_path: Path,
) -> None:
    with running(tmp_path, journal=JournalOptions(max_entries=20), mqtt=NOWHERE) as bench:
        bench.written()
        while bench.daemon._reports.journal.stored.unacknowledged < 15:
            bench.tap("eve")  # a session a tap, then its end
            bench.written()
        assert bench.causes == []
        assert "problems" not in bench.status() or not bench.status()["problems"]
        while not bench.causes:
            bench.tap("eve")
            bench.written()
            stored = bench.daemon._reports.journal.stored.unacknowledged
            if 16 <= stored < 20:
                bench.wait_for_status(lambda found: "journal-full" in "".join(found["problems"]))
        assert bench.causes == ["journal-full"]
        assert bench.daemon._reports.journal.stored.unacknowledged >= 20
        if bench.output.on:
            bench.tap("eve")
        bench.tap("ada")
        assert not bench.output.on
        bench.written()
        bench.stop()
        bench.start()
        assert bench.causes == ["journal-full"], "a restart does not forget that it is full"
        bench.daemon._recorder.acknowledge(18, 0)
        wait(lambda: not bench.causes, "the all-clear")
        bench.use("ada")


def test_a_gate_without_a_collector_keeps_the_newest_entries_and_goes_on(tmp_path: Path) -> None:
    with running(tmp_path, journal=JournalOptions(max_entries=40)) as bench:
        for _ in range(60):
            bench.use("ada")
            bench.tap("ada")
            bench.written()
            assert bench.causes == []
        bench.written()
        wait(lambda: not bench.daemon._recorder._has_background_work(), "the end of the tidying")
        kept = bench.entries()
        assert len(kept) == 40
        assert [kind for kind, _ in kept[-2:]] == ["session.started", "session.ended"]
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            floor, head, mark = reader.bounds()
            assert (head - floor + 1, mark) == (40, 0)
            assert reader.first_break() is None
        bench.wait_for_status(lambda found: found["journal"]["floor"] == floor and not found["problems"])
        bench.stop()
        bench.start()
        bench.written()
        assert bench.causes == []
        bench.use("ada")


def test_acknowledged_entries_are_trimmed_by_age_and_also_without_a_clock_by_number(tmp_path: Path) -> None:
    with running(tmp_path, journal=JournalOptions(max_entries=10, keep_days=1), mqtt=NOWHERE) as bench:
        for _ in range(6):
            bench.use("ada")
            bench.tap("ada")
            bench.written()
            bench.daemon._recorder.acknowledge(bench.daemon._journal.head - 5, 0)
            bench.written()
        bench.time.synced = False
        bench.daemon._recorder.acknowledge(12, 0)
        bench.written()
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            floor, head, mark = reader.bounds()
        assert (mark, head - floor + 1) == (12, 10)
        bench.time.synced = True
        bench.time.wall += 3 * 86_400
        bench.use("ada")
        bench.written()
        bench.daemon._recorder.acknowledge(13, 0)
        bench.written()
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            assert reader.bounds()[0] == 14

"""The whole gate in this process: the two rules on a disk that hangs, fails and fills up, and what follows a fault."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fabgate import wire
from fabgate.drivers.outputs.memory import MemoryOutput
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import JournalError, UsageError
from fabgate.gate import daemon as module
from fabgate.gate.config.gate_yaml import EmergencyBadge, Inputs, JournalOptions, Machine, Mqtt
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from fabgate.gate.workers import WorkerFailed
from fabgate.rules import vocabulary as w
from tests.gate.shell import CARDS, Bench, FakeReader, Time, digest, drafts, gate_config, running, wait, write_roster
from tests.support.disk import fill, small_disk

#: A broker that nobody runs: what is written waits for a collector.
NOWHERE = Mqtt(host="127.0.0.1", port=1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Bench]:
    """A gate that is not started yet."""
    found = Bench(tmp_path)
    yield found
    found.close()


# --- rule 1: power only after the record is on disk -------------------------------------------------------------------


def test_a_tap_powers_the_machine_only_once_its_row_is_on_disk(bench: Bench) -> None:
    bench.disk.hold()
    bench.tap("ada")
    bench.disk.held.wait()
    bench.advance(2_900)
    assert bench.levels == []
    assert bench.state == "starting"
    bench.disk.go_on()
    wait(lambda: bench.output.on, "power")
    (started,) = bench.of("session.started")
    assert (started.member, started.badge, started.basis.kind) == ("m-ada", digest("ada"), "grant")


def test_a_disk_that_takes_longer_than_three_seconds_starts_nothing(bench: Bench) -> None:
    bench.disk.hold()
    bench.tap("ada")
    bench.disk.held.wait()
    bench.advance(3_000)
    assert bench.state == "idle"
    bench.disk.go_on()
    bench.written()
    assert bench.levels == []
    (started,), (ended,) = bench.of("session.started"), bench.of("session.ended")
    assert (ended.session, ended.reason, ended.energised_ms) == (started.session, "start-timeout", 0)


def test_a_card_on_the_reader_starts_and_ends_a_session(bench: Bench) -> None:
    bench.see_empty_field()
    bench.reader.lay("ada")
    wait(lambda: bench.output.on, "power")
    bench.reader.lift()
    bench.see_empty_field()
    bench.settle()
    bench.reader.lay("ada")
    wait(lambda: not bench.output.on, "the end of power")
    bench.reader.seen = Misread(MisreadReason.TWO_CARDS)
    assert bench.levels == [True, False]
    assert bench.wait_for_entries("session.ended")[0].energised_ms == 1_000


@pytest.mark.parametrize("mode", ["tap", "hold"])
def test_a_card_that_lies_on_the_reader_at_a_start_powers_nothing(tmp_path: Path, mode: str) -> None:
    bench = Bench(tmp_path, machine=Machine(name="Saw", finish="cut", mode=mode))
    bench.reader.lay("ada")
    bench.start()
    try:
        for seen in (Misread(MisreadReason.TORN), Misread(MisreadReason.RANDOM_UID), Card(bytes.fromhex(CARDS["max"]))):
            bench.reader.looked()
            bench.advance(5_000)
            bench.reader.seen = seen  # something is held over the card and taken away
            bench.reader.looked()
            bench.advance(5_000)
            bench.reader.looked()
            bench.reader.lay("ada")
        bench.reader.looked()
        bench.settle()
        assert bench.levels == []
        assert bench.daemon._gate.state == "idle"
    finally:
        bench.close()


def test_a_commit_that_raised_and_was_durable_is_one_record_and_no_power(bench: Bench) -> None:
    bench.disk.phantoms = 1
    bench.tap("ada")
    bench.wait_for_entries("session.ended")
    assert [ended.reason for ended in bench.of("session.ended")] == ["cancelled"]
    assert len(bench.of("session.started")) == 1
    assert bench.levels == []
    wait(lambda: not bench.causes, "the all-clear")
    bench.use("ada")


# --- rule 2: off first ------------------------------------------------------------------------------------------------


def test_off_comes_at_once_while_the_disk_hangs_for_ever_and_the_end_is_recorded_when_it_recovers(bench: Bench) -> None:
    bench.use("ada")
    bench.disk.hold()
    bench.advance(4_000)
    bench.tap("ada")
    assert bench.levels == [True, False]
    bench.disk.held.wait()
    bench.advance(3_600_000)
    assert bench.of("session.ended") == []
    bench.disk.go_on()
    bench.written()
    (ended,) = bench.of("session.ended")
    assert (ended.energised_ms, ended.uncertainty_ms, ended.clock.boottime_ms) == (4_000, 0, 1_004_000)


def test_an_emergency_stop_during_a_disk_stall_is_obeyed_at_once(bench: Bench) -> None:
    bench.use("ada")
    bench.disk.hold()
    bench.post(w.CauseRaised(w.Cause.ESTOP, "pressed"))
    assert bench.levels == [True, False]
    assert bench.causes == ["estop"]
    bench.disk.go_on()
    bench.written()
    assert bench.of("session.ended")[0].reason == "fault"
    assert [blocked.cause for blocked in bench.of("machine.blocked")] == ["estop"]


def test_an_end_that_cannot_be_written_is_kept_tried_again_and_holds_the_block(bench: Bench) -> None:
    bench.use("ada")
    bench.disk.broken = "disk I/O error"
    bench.advance(1_000)
    bench.tap("ada")
    assert not bench.output.on
    wait(lambda: "journal" in bench.causes, "the cause")
    assert "disk I/O error" in bench.wait_for_status(lambda found: found["problems"])["problems"][0]
    bench.tap("bob")
    assert bench.state == "idle"
    bench.disk.broken = ""
    wait(lambda: "journal" not in bench.causes, "the all-clear")
    bench.written()
    assert [ended.energised_ms for ended in bench.of("session.ended")] == [1_000]
    bench.use("bob")


# --- a disk that cannot be used at the start --------------------------------------------------------------------------


def test_a_broken_disk_at_the_start_means_no_power_a_clear_status_and_recovery_by_itself(
    cold: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOURNAL_RETRY_S", 0.05)
    cold.disk.broken = "unable to open database file"
    cold.start(ready=False)
    found = cold.wait_for_status(lambda status: status["problems"])
    assert found["causes"] == ["journal"]
    assert "the journal cannot be opened (unable to open database file)" in found["problems"][0]
    assert "STATUS=blocked: the journal cannot be opened" in cold.said
    cold.disk.broken = "attempt to write a readonly database"
    cold.wait_for_status(lambda status: "readonly" in status["problems"][0])
    cold.daemon.post(w.Presented(digest("ada")))
    assert cold.levels == []
    cold.disk.broken = ""
    cold.wait_until_ready()
    assert cold.levels == []
    cold.use("ada")


def test_a_gate_that_waits_for_its_disk_can_be_stopped(cold: Bench) -> None:
    cold.disk.broken = "unable to open database file"
    cold.start(ready=False)
    cold.wait_for_status(lambda status: status["problems"])
    assert cold.stop() == 0


def test_a_journal_of_another_gate_is_never_written(cold: Bench) -> None:
    cold.config.state_dir.mkdir()
    other = Journal(cold.journal, wire.GateTopics("lyon", "saw"))
    other.open()
    other.close()
    cold.start(ready=False)
    found = cold.wait_for_status(lambda status: status["problems"])
    assert "belongs to lyon/saw" in found["problems"][0]
    assert cold.levels == []


def test_on_a_full_disk_a_session_still_ends_from_the_reserve_which_is_restored_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4096) as folder:
        roster = tmp_path / "roster.json"
        write_roster(roster)
        config = gate_config(tmp_path, state_dir=folder)
        with running(tmp_path, state_dir=folder, roster=config.roster) as bench:
            for _ in range(8):  # so much that the file has to grow, or its WAL would be folded into it and make room
                bench.use("ada")
                bench.tap("ada")
            bench.use("ada")
            reserve = folder / "reserve"
            assert reserve.stat().st_size == 1024 * 1024
            filler = fill(folder)
            bench.advance(7_000)
            bench.tap("ada")
            assert not bench.output.on
            wait(lambda: len(bench.of("session.ended")) == 9, "the session's end on disk")
            assert not reserve.exists()
            assert bench.causes == ["journal"]
            found = bench.wait_for_status(lambda status: status["problems"])
            assert "the journal cannot be written (database or disk is full)" in found["problems"][0]
            bench.tap("bob")
            assert bench.state == "idle"
            filler.unlink()
            wait(lambda: not bench.causes, "the all-clear")
            assert reserve.stat().st_size == 1024 * 1024
            assert [ended.energised_ms for ended in bench.of("session.ended")][-1] == 7_000
            bench.use("bob")


def test_a_disk_that_is_full_at_the_start_is_told_and_the_gate_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOURNAL_RETRY_S", 0.05)
    with small_disk(tmp_path / "disk", 4096) as folder:
        with running(tmp_path, state_dir=folder) as bench:
            bench.use("ada")
            bench.cut_power()
        (folder / "reserve").unlink(missing_ok=True)  # freed for the end that could not be written either
        filler = fill(folder)
        bench.time.reboot()
        bench.start(ready=False)
        found = bench.wait_for_status(lambda status: status["problems"])
        assert any(word in found["problems"][0] for word in ("no room for the reserve", "the disk is not full"))
        assert found["causes"] == ["journal"]
        bench.daemon.post(w.Presented(digest("ada")))
        wait(bench.daemon._inbox.empty, "the card to be seen while nothing can start")
        filler.unlink()
        bench.wait_until_ready()
        assert bench.levels == [True, False]
        assert bench.of("session.ended")[0].reason == "power-loss"
        bench.stop()


def test_a_read_only_disk_is_told_and_the_gate_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "JOURNAL_RETRY_S", 0.05)
    with small_disk(tmp_path / "disk", 4096) as folder:
        with running(tmp_path, state_dir=folder) as bench:
            bench.written()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        bench.start(ready=False)
        wait(lambda: any("blocked" in line for line in bench.said), "the block")
        assert "the journal cannot be opened" in caplog.text
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        bench.wait_until_ready()
        bench.use("ada")
        bench.stop()


# --- starting again ---------------------------------------------------------------------------------------------------


def test_a_restart_within_the_boot_ends_the_open_session_with_all_the_time_that_nobody_saw(bench: Bench) -> None:
    bench.use("ada")
    bench.advance(31_000)
    bench.written()
    bench.advance(20_000)
    bench.cut_power()
    bench.time.ms += 9_000
    bench.start()
    bench.written()
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.energised_ms, ended.uncertainty_ms) == ("restart", 31_000, 29_000)
    assert not bench.output.on
    assert bench.state == "idle"


def test_a_power_cut_ends_the_open_session_with_the_doubt_of_a_late_checkpoint(bench: Bench) -> None:
    bench.use("ada")
    bench.advance(45_000)
    bench.written()
    bench.cut_power()
    bench.time.reboot(off_s=8 * 3600)
    bench.start()
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.energised_ms, ended.uncertainty_ms) == ("power-loss", 45_000, 30_000 + 60_000)


@pytest.mark.parametrize(("synced", "doubt_ms"), [(True, 30_000 + 60_000 + 7_000), (False, 30_000 + 60_000 + 600_000)])
def test_a_power_cut_of_seconds_leaves_no_doubt_of_hours_where_the_clock_tells(
    tmp_path: Path, synced: bool, doubt_ms: int
) -> None:
    with running(tmp_path, machine=Machine(name="Laser", finish="wait", finish_max_s=600)) as bench:
        bench.use("ada")
        bench.advance(45_000)
        bench.written()
        bench.cut_power()
        bench.time.reboot(off_s=7)
        bench.time.synced = synced
        bench.start()
        (ended,) = bench.of("session.ended")
        assert (ended.reason, ended.energised_ms, ended.uncertainty_ms) == ("power-loss", 45_000, doubt_ms)


@pytest.mark.parametrize(("finish", "waits_ms"), [("cut", 0), ("wait", 600_000)])
def test_after_an_hour_of_a_hanging_disk_and_then_a_cut_the_doubt_still_holds(
    tmp_path: Path, finish: str, waits_ms: int
) -> None:
    machine = Machine(name="Laser", finish=finish, finish_max_s=600, run_on_s=20)
    with running(tmp_path, machine=machine) as bench:
        bench.use("ada")
        began_ms = bench.time.ms
        bench.advance(30_000)
        bench.written()
        bench.disk.hold()
        off_ms = None
        for _ in range(3_600):
            bench.time.ms += 1_000
            bench.daemon.post(w.Tick())
            bench.settle()
            if off_ms is None and not bench.output.on:
                off_ms = bench.time.ms
                break
        assert off_ms is not None
        true_ms = off_ms - began_ms
        assert true_ms >= 30_000 + waits_ms
        bench.time.ms += 3_600_000
        bench.cut_power()
        bench.time.reboot()
        bench.start()
        (ended,) = bench.of("session.ended")
        assert ended.energised_ms == 30_000
        assert ended.energised_ms <= true_ms <= ended.energised_ms + ended.uncertainty_ms


def test_nothing_is_switched_on_by_starting_whatever_state_the_files_are_in(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.use("ada")
        bench.advance(40_000)
        bench.written()
        bench.cut_power()
        state = {path.name: path.read_bytes() for path in bench.config.state_dir.iterdir()}
        random = Random(20261124)
        for n in range(24):
            for name, content in state.items():
                damaged = bytearray(content)
                if name.startswith(("journal", "roster", "status")) and damaged:
                    if n % 3 == 0:
                        damaged = damaged[: random.randrange(len(damaged))]
                    else:
                        for _ in range(random.choice((1, 20, 400))):
                            damaged[random.randrange(len(damaged))] = random.randrange(256)
                if n % 3 != 2 or random.random() < 0.7:
                    (bench.config.state_dir / name).write_bytes(damaged)
                else:
                    (bench.config.state_dir / name).unlink(missing_ok=True)
            bench.output = MemoryOutput()
            bench.time.reboot()
            bench.start(ready=False)
            wait(lambda: bench.over or "READY=1" in bench.said or any("blocked" in s for s in bench.said), "an answer")
            bench.daemon.post(w.Tick())
            bench.stop()
            assert bench.levels == [], f"round {n}"
            assert bench.error is None or isinstance(bench.error, OSError | ValueError | sqlite3.Error), bench.error


def test_two_daemons_on_one_state_directory_are_one_too_many(bench: Bench) -> None:
    bench.use("ada")
    other = Bench(bench.folder)
    other.start(ready=False)
    other.join()
    assert isinstance(other.error, UsageError)
    assert other.error.exit_code == 2
    assert "another fabgate runs" in str(other.error)
    assert bench.output.on
    assert other.levels == []


def test_a_state_directory_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    bench = Bench(tmp_path, state_dir=tmp_path / "file" / "state")
    bench.start(ready=False)
    bench.join()
    assert isinstance(bench.error, JournalError)
    assert "the state directory cannot be used" in str(bench.error)


def test_an_output_that_cannot_be_claimed_ends_the_start(cold: Bench) -> None:
    cold.output.broken = True
    cold.start(ready=False)
    cold.join()
    assert getattr(cold.error, "exit_code", None) == 3


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [10, -10, 9_000])
def test_a_wall_clock_that_jumps_by_years_changes_no_duration(bench: Bench, years: int) -> None:
    bench.use("ada")
    bench.advance(2_000)
    bench.time.wall += years * 365.25 * 86_400
    bench.advance(3_000)
    bench.time.wall -= 2 * years * 365.25 * 86_400
    bench.advance(1_500)
    bench.tap("ada")
    bench.written()
    assert bench.of("session.ended")[0].energised_ms == 6_500


def test_clock_synced_is_written_at_the_first_sync_and_after_each_step_above_a_second(cold: Bench) -> None:
    cold.time.synced = False
    cold.start()
    cold.time.wall += 3_600
    cold.advance(1_000)
    cold.written()
    assert cold.of("clock.synced") == []
    cold.time.synced = True
    cold.advance(1_000)
    cold.time.wall += 0.9
    cold.advance(1_000)
    cold.time.wall -= 30
    cold.advance(1_000)
    cold.written()
    assert [synced.step_ms for synced in cold.of("clock.synced")] == [None, -30_000]


def test_what_moved_while_nobody_kept_the_clock_is_told_as_a_step(bench: Bench) -> None:
    bench.written()
    bench.time.synced = False
    bench.time.wall += 60
    bench.advance(1_000)
    bench.time.synced = True
    bench.advance(1_000)
    bench.written()
    assert [synced.step_ms for synced in bench.of("clock.synced")] == [None, 60_000]


def test_entries_of_an_unsynchronised_clock_have_no_time(cold: Bench) -> None:
    cold.time.synced = False
    cold.start()
    cold.written()
    with contextlib.closing(JournalReader(cold.journal)) as reader:
        entries = [wire.decode_entry(entry.body) for entry in reader.after(0, most=10)]
    assert all(not entry.time for entry in entries)


# --- the reader -------------------------------------------------------------------------------------------------------


def test_an_unplugged_reader_blocks_and_its_return_clears(bench: Bench) -> None:
    bench.reader.plugged = False
    wait(lambda: bench.causes == ["reader"], "the cause")
    bench.wait_for_status(lambda found: "reader: the fake reader is unplugged" in found["problems"])
    bench.tap("ada")
    assert bench.state == "idle"
    bench.reader.plugged = True
    wait(lambda: not bench.causes, "the all-clear")
    bench.written()
    assert [data.detail for data in bench.of("reader.fault")] == ["the fake reader is unplugged"]
    assert len(bench.of("reader.recovered")) == 1


def test_a_reader_that_was_away_for_long_is_not_taken_for_a_hanging_one_when_it_returns(bench: Bench) -> None:
    bench.reader.plugged = False
    wait(lambda: bench.causes == ["reader"], "the cause")
    bench.advance(3_600_000)
    bench.reader.plugged = True
    wait(lambda: not bench.causes, "the all-clear")
    bench.settle()
    bench.written()
    assert bench.causes == []
    assert len(bench.of("reader.fault")) == 1


def test_a_poll_that_hangs_is_a_fault_until_it_comes_back(bench: Bench) -> None:
    bench.reader.answers.clear()
    bench.reader.hanging.wait()
    bench.advance(5_000)
    assert bench.causes == []
    bench.advance(1_000)
    assert bench.causes == ["reader"]
    bench.advance(60_000)
    bench.reader.answers.set()
    wait(lambda: not bench.causes, "the all-clear")
    bench.written()
    assert [data.detail for data in bench.of("reader.fault")] == ["the reader has not answered for 6 s"]
    assert len(bench.of("reader.recovered")) == 1


def test_a_reader_that_hung_answers_once_and_fails_is_not_taken_for_well(bench: Bench) -> None:
    bench.reader.answers.clear()
    bench.reader.hanging.wait()
    bench.advance(6_000)
    assert bench.causes == ["reader"]
    bench.reader.answers.set()
    bench.reader.looked()
    bench.reader.plugged = False
    bench.wait_for_status(lambda found: "reader: the fake reader is unplugged" in found["problems"])
    bench.settle()
    assert bench.causes == ["reader"]
    bench.tap("ada")
    assert bench.state == "idle"


def test_a_tap_session_outlives_a_dead_reader_and_a_hold_session_ends_after_its_grace(tmp_path: Path) -> None:
    for mode, on_after in (("tap", True), ("hold", False)):
        with running(tmp_path / mode, machine=Machine(mode=mode, finish="cut", grace_s=10)) as bench:
            bench.post(w.Presented(digest("ada")))
            wait(lambda bench=bench: bench.output.on, "power")
            bench.reader.plugged = False
            wait(lambda bench=bench: bench.causes == ["reader"], "the cause")
            bench.advance(9_000)
            assert bench.output.on
            bench.advance(2_000)
            assert bench.output.on is on_after
            bench.post(w.StopPressed())
            assert not bench.output.on


def test_a_reader_that_repaired_itself_is_noted(bench: Bench) -> None:
    bench.reader.recoveries = 1
    bench.wait_for_entries("reader.recovered")
    assert bench.causes == []


# --- threads that die -------------------------------------------------------------------------------------------------


def test_a_bug_of_the_readers_driver_blocks_is_tried_again_and_clears(bench: Bench) -> None:
    bench.reader.buggy = True
    bench.wait_for_entries("reader.fault")
    wait(lambda: not bench.causes, "the all-clear")
    bench.written()
    assert [data.detail for data in bench.of("reader.fault")] == [
        "the reader driver tests.gate.shell.FakeReader raised ZeroDivisionError: a bug of the driver"
    ]
    assert [data.cause for data in bench.of("machine.blocked")] == ["reader"]
    bench.wait_for_status(lambda found: not found["problems"])
    bench.use("ada")


def test_a_journals_thread_that_dies_loses_nothing_and_its_block_falls_after_a_write(bench: Bench) -> None:
    journal = bench.daemon._journal
    once = iter([ZeroDivisionError("a bug")])
    before = journal.append

    def append(*arguments: object) -> int:
        for error in once:
            raise error
        return before(*arguments)  # type: ignore[arg-type]

    journal.append = append  # type: ignore[method-assign]
    bench.tap("ada")
    wait(lambda: "journal" in bench.causes, "the cause")
    assert not bench.output.on
    wait(lambda: not bench.causes, "the all-clear")
    bench.written()
    assert [ended.reason for ended in bench.of("session.ended")] == ["cancelled"]
    assert bench.levels == []
    bench.wait_for_status(lambda found: not found["problems"])
    bench.use("bob")


def test_a_dead_thread_of_the_network_touches_no_power(bench: Bench) -> None:
    bench.use("ada")
    for name in ("uplink", "network", "roster", "panel", "status"):
        bench.post(WorkerFailed(name, "ZeroDivisionError: a bug"))
    assert bench.output.on
    assert bench.causes == []
    bench.wait_for_status(lambda found: len(found["problems"]) == 5)


def test_dead_inputs_are_an_emergency_stop_where_one_is_wired(tmp_path: Path) -> None:
    with running(tmp_path, inputs=Inputs()) as bench:
        bench.use("ada")
        bench.post(WorkerFailed("inputs", "gone"))
        assert bench.output.on
    with running(tmp_path / "b", inputs=Inputs(estop_pin=20)) as bench:
        wait(lambda: bench.causes == ["estop"], "an input that nobody can read")
        bench.post(WorkerFailed("inputs", "gone"))
        assert bench.causes == ["estop"]


def test_an_exception_in_the_loop_means_power_off_and_a_non_zero_exit(bench: Bench) -> None:
    bench.use("ada")
    bench.daemon.post(object())
    bench.join()
    assert isinstance(bench.error, TypeError)
    assert bench.levels == [True, False]
    assert not bench.output.is_open
    bench.start()
    assert bench.of("session.ended")[0].reason == "restart"


def test_an_error_that_was_foreseen_ends_the_process_with_its_exit_code(tmp_path: Path) -> None:
    config = gate_config(tmp_path)
    config.state_dir.mkdir()
    with running(tmp_path):
        assert module.run(config) == 2


# --- the contactor ----------------------------------------------------------------------------------------------------


def test_a_welded_contactor_is_a_fault_that_outlives_a_restart_and_only_a_maintainer_clears(bench: Bench) -> None:
    bench.use("ada")
    bench.output.welded = True
    bench.tap("ada")
    bench.advance(500)
    assert bench.causes == []
    bench.advance(1)
    assert bench.causes == ["output"]
    bench.tap("max")
    assert bench.causes == ["output"], "it is welded still"
    bench.written()
    bench.stop()
    bench.output.welded = False
    bench.start()
    assert bench.causes == ["output"]
    for who in ("ada", "sue"):
        bench.tap(who)
        assert bench.causes == ["output"]
    bench.tap("max")
    assert bench.causes == []
    bench.written()
    assert len(bench.of("output.fault")) == 1
    assert [cleared.member for cleared in bench.of("machine.cleared")] == ["m-max"]
    bench.use("ada")


def test_an_output_that_cannot_be_driven_is_a_fault_and_ends_the_session(bench: Bench) -> None:
    bench.output.broken = True
    bench.tap("ada")
    wait(lambda: bench.causes == ["output"], "the fault")
    bench.written()
    assert bench.levels == []
    assert [ended.reason for ended in bench.of("session.ended")] == ["fault"]
    assert "told to be broken" in bench.of("output.fault")[0].detail


# --- a slow disk, a full journal --------------------------------------------------------------------------------------


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
        while bench.daemon._reports.stored.unacknowledged < 15:
            bench.tap("eve")  # a session a tap, then its end
            bench.written()
        assert bench.causes == []
        assert "problems" not in bench.status() or not bench.status()["problems"]
        while not bench.causes:
            bench.tap("eve")
            bench.written()
            stored = bench.daemon._reports.stored.unacknowledged
            if 16 <= stored < 20:
                bench.wait_for_status(lambda found: "journal-full" in "".join(found["problems"]))
        assert bench.causes == ["journal-full"]
        assert bench.daemon._reports.stored.unacknowledged >= 20
        if bench.output.on:
            bench.tap("eve")
        bench.tap("ada")
        assert not bench.output.on
        bench.written()
        bench.stop()
        bench.start()
        assert bench.causes == ["journal-full"], "a restart does not forget that it is full"
        bench.daemon._recorder.acknowledge(18)
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
            bench.daemon._recorder.acknowledge(bench.daemon._journal.head - 5)
            bench.written()
        bench.time.synced = False
        bench.daemon._recorder.acknowledge(12)
        bench.written()
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            floor, head, mark = reader.bounds()
        assert (mark, head - floor + 1) == (12, 10)
        bench.time.synced = True
        bench.time.wall += 3 * 86_400
        bench.use("ada")
        bench.written()
        bench.daemon._recorder.acknowledge(13)
        bench.written()
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            assert reader.bounds()[0] == 14


# --- the end ----------------------------------------------------------------------------------------------------------


def test_sigterm_switches_off_first_and_leaves_a_whole_journal(bench: Bench) -> None:
    bench.use("ada")
    bench.advance(2_500)
    bench.disk.hold()
    bench.daemon.stop("SIGTERM")
    wait(lambda: not bench.output.on, "off, whatever the disk does")
    bench.disk.go_on()
    bench.join()
    assert bench.code == 0
    assert bench.entries()[-2:] == [*bench.entries()[-2:]]
    kinds = [kind for kind, _ in bench.entries()][-2:]
    assert kinds == ["session.ended", "gate.stopping"]
    assert bench.of("session.ended")[0].energised_ms == 2_500
    assert bench.of("gate.stopping")[0].reason == "SIGTERM"
    assert "STOPPING=1" in bench.said
    assert not bench.output.is_open


def test_a_stop_does_not_wait_for_a_disk_that_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.1)
    bench.use("ada")
    bench.disk.hold()
    bench.tap("ada")
    bench.daemon.stop()
    bench.join()
    assert bench.code == 0
    assert bench.levels == [True, False]
    bench.disk.go_on()


def test_signals_ask_for_an_orderly_stop(bench: Bench) -> None:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        bench.daemon.handle_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        bench.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert bench.of("gate.stopping")[0].reason == "SIGTERM"


def test_the_watchdog_is_fed_by_the_loop_and_only_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    with running(tmp_path) as bench:
        fed = bench.said.count("WATCHDOG=1")
        bench.advance(100)
        assert bench.said.count("WATCHDOG=1") == fed
        bench.advance(1_500)
        assert bench.said.count("WATCHDOG=1") == fed + 1


# --- people -----------------------------------------------------------------------------------------------------------


def test_an_emergency_badge_needs_no_roster(tmp_path: Path) -> None:
    roster = tmp_path / "roster.json"
    roster.write_text("{broken")
    emergency = [EmergencyBadge(digest=digest("04:11:22:33"), label="front-desk")]
    bench = Bench(tmp_path, emergency_badges=emergency)
    try:
        bench.start(ready=False)
        wait(lambda: "READY=1" in bench.said, "the start")
        bench.settle()
        bench.tap("ada")
        assert bench.state == "idle"
        bench.use("04:11:22:33")
        bench.written()
        (started,) = bench.of("session.started")
        assert (started.member, started.basis.kind) == ("emergency:front-desk", "emergency")
        assert bench.of("access.refused")[0].reasons == ["unknown-badge"]
        bench.post(w.CauseRaised(w.Cause.ESTOP, "pressed"))
        bench.tap("04:11:22:33")
        assert not bench.output.on, "never despite a cause"
    finally:
        bench.close()


def test_a_roster_that_changes_takes_effect_at_once(bench: Bench) -> None:
    bench.use("ada")
    write_roster(bench.config.roster.file, people=("bob", "max", "sue", "eve"), limit_s=7_200)  # type: ignore[arg-type]
    wait(lambda: not bench.output.on, "the end of a session whose member left")
    assert bench.wait_for_entries("session.ended")[0].reason == "revoked"
    bench.tap("ada")
    bench.written()
    assert bench.of("access.refused")[-1].reasons == ["unknown-badge"]


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_gate_whose_badge_key_is_torn_does_not_fill_its_journal_with_starts(tmp_path: Path, content: bytes) -> None:
    with running(tmp_path, badge_key_file=None) as bench:
        bench.stop()
        starts = len(bench.of("gate.started"))
        key = bench.config.state_dir / "badge.key"
        whole = key.read_bytes()
        key.write_bytes(content)
        for _ in range(3):
            bench.start(ready=False).join()
            assert isinstance(bench.error, UsageError)
        assert len(bench.of("gate.started")) == starts
        key.write_bytes(whole)
        bench.start()
        assert len(bench.of("gate.started")) == starts + 1


def damage(bench: Bench) -> None:
    """Spoil all of the stored roster but the header of its file."""
    stored = bench.config.state_dir / "roster.db"
    with stored.open("r+b") as file:
        file.seek(24)
        file.write(b"\xff" * (stored.stat().st_size - 24))


def test_a_damaged_roster_knows_nobody_and_cuts_nobody(bench: Bench) -> None:
    # So many that no look-up has brought all of the file into memory.
    crowd = tuple(f"04AA{number:04X}" for number in range(1_000))
    write_roster(bench.config.roster.file, people=(*CARDS, *crowd), limit_s=90)  # type: ignore[arg-type]
    wait(lambda: bench.daemon._gate.rules.limit_ms == 90_000, "a large roster")
    bench.use("ada")
    bench.config.roster.file.unlink()  # type: ignore[union-attr]  # nothing is there to mend it with
    damage(bench)
    bench.tap(crowd[-1])
    assert bench.output.on
    bench.tap("ada")
    assert not bench.output.on
    bench.tap(crowd[-1])
    bench.written()
    assert bench.of("access.refused")[-1].reasons == ["unknown-badge"]
    write_roster(bench.config.roster.file, people=tuple(CARDS), limit_s=60)  # type: ignore[arg-type]
    wait(lambda: bench.daemon._gate.rules.limit_ms == 60_000, "a whole roster")
    bench.use("bob")


def test_a_damaged_roster_is_mended_by_the_first_badge_that_finds_it_so(bench: Bench) -> None:
    crowd = tuple(f"04AA{number:04X}" for number in range(1_000))
    write_roster(bench.config.roster.file, people=(*CARDS, *crowd), limit_s=90)  # type: ignore[arg-type]
    wait(lambda: bench.daemon._gate.rules.limit_ms == 90_000, "a large roster")
    stored = bench.config.state_dir / "roster.db"
    before = stored.stat().st_ino
    damage(bench)
    bench.tap(crowd[-1])
    wait(lambda: stored.stat().st_ino != before, "the same file, read and stored anew")
    bench.wait_for_entries("roster.replaced", 3)
    bench.settle()
    bench.use(crowd[-1])
    assert len(bench.of("roster.replaced")) == 3, "once is enough"


def test_a_session_longer_than_any_entry_may_be_is_cut_to_fit(bench: Bench) -> None:
    bench.post(w.CauseRaised(w.Cause.ESTOP, "x" * 100_000))
    bench.written()
    assert len(bench.of("machine.blocked")[0].detail) == 200
    assert bench.causes == ["estop"]


def test_audit_mode_records_and_switches_nothing(tmp_path: Path) -> None:
    with running(tmp_path, machine=Machine(mode="audit", finish="cut")) as bench:
        bench.tap("ada")
        wait(lambda: bench.state == "active", "the session")
        bench.advance(5_000)
        bench.tap("ada")
        bench.written()
        assert bench.levels == []
        assert bench.of("session.ended")[0].energised_ms == 5_000


def test_the_status_says_what_the_gate_thinks(bench: Bench) -> None:
    bench.use("ada")
    found = bench.wait_for_status(lambda status: status["state"] == "active")
    assert found["member"] == "m-ada"
    assert found["site"] == "lyon"
    assert found["boot"] == "boot-1"
    assert found["mqtt"] == {"configured": False, "connected": False, "problem": "not connected yet"}
    assert found["pid"] == os.getpid()


def test_defaults_come_from_the_configuration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config = gate_config(tmp_path)
    found = module.Daemon(config, reader=FakeReader())
    assert isinstance(found._output, MemoryOutput)
    threading.Thread(target=found.stop).start()
    assert found.run() == 0


def test_time_and_drafts_of_these_tests_are_what_they_say() -> None:
    time = Time()
    before = time.clock().now()
    time.reboot(off_s=10)
    after = time.clock().now()
    assert before.local is not None
    assert after.local is not None
    assert (after.local - before.local).total_seconds() == 10
    assert [draft.uid for draft in drafts(2)] == ["u1", "u2"]

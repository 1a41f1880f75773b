"""What the loop checks: the clock, the reader, threads that fail, the contactor."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.gate import daemon as module
from fabgate.gate.config.gate_yaml import Inputs, MachineSection
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.workers import WorkerFailed
from fabgate.rules import vocabulary
from tests.gate.shell import Bench, digest, gate_config, running, wait

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
        with running(tmp_path / mode, machine=MachineSection(mode=mode, finish="cut", grace_s=10)) as bench:
            bench.post(vocabulary.Presented(digest("ada")))
            wait(lambda bench=bench: bench.output.on, "power")
            bench.reader.plugged = False
            wait(lambda bench=bench: bench.causes == ["reader"], "the cause")
            bench.advance(9_000)
            assert bench.output.on
            bench.advance(2_000)
            assert bench.output.on is on_after
            bench.post(vocabulary.StopPressed())
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
        "the reader driver tests.gate.fakes.FakeReader raised ZeroDivisionError: a bug of the driver"
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
    assert "set to fail" in bench.of("output.fault")[0].detail

"""Power comes only after the record is on disk, and goes off before anything is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.gate.config.gate_yaml import MachineSection
from fabgate.rules import vocabulary
from tests.gate.fakes import CARDS
from tests.gate.shell import Bench, digest, wait

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
    bench = Bench(tmp_path, machine=MachineSection(name="Saw", finish="cut", mode=mode))
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
    bench.post(vocabulary.CauseRaised(vocabulary.Cause.ESTOP, "pressed"))
    bench.disk.held.wait()
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

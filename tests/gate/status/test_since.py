"""Since when a machine is in its state, told once and in wall time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from fabgate.gate.config.gate_yaml import MachineSection
from fabgate.gate.status.since import Since
from fabgate.rules import vocabulary
from tests.gate.fakes import NOON
from tests.gate.shell import running


def at(ms: int, *, synced: bool = True, wall: datetime | None = None) -> vocabulary.Now:
    return vocabulary.Now(1_000 + ms, NOON + timedelta(milliseconds=ms) if wall is None else wall, synced)


def test_it_stands_until_the_state_changes() -> None:
    since = Since()
    assert since.of("idle", at(0)) == NOON
    assert since.of("idle", at(5_000)) == NOON
    assert since.of("active", at(7_000)) == NOON + timedelta(seconds=7)
    assert since.of("idle", at(9_000)) == NOON + timedelta(seconds=9)


def test_a_wall_clock_that_drifts_or_is_set_does_not_move_it() -> None:
    since = Since()
    since.of("idle", at(0))
    assert since.of("idle", at(5_000, wall=NOON + timedelta(hours=1))) == NOON
    assert since.of("idle", at(6_000, synced=False)) == NOON


def test_without_a_clock_it_is_not_known_and_once_there_is_one_it_is_worked_out() -> None:
    since = Since()
    assert since.of("idle", at(0, synced=False)) is None
    assert since.of("active", at(1_000, synced=False)) is None
    assert since.of("active", at(60_000)) == NOON + timedelta(seconds=1)


def test_it_is_in_whole_milliseconds() -> None:
    since = Since()
    assert since.of("idle", at(0, wall=NOON + timedelta(microseconds=1_999))) == NOON + timedelta(milliseconds=1)


def test_the_gate_says_since_when_it_is_as_it_is(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        idle = bench.wait_for_status(lambda found: "since" in found)["since"]
        assert idle == "2026-11-24T12:00:00Z"
        bench.advance(90_000)
        assert bench.status()["since"] == idle
        bench.use("ada")
        bench.wait_for_status(lambda found: (found["state"], found["since"]) == ("active", "2026-11-24T12:01:30Z"))


def test_a_session_that_waits_for_its_job_has_been_on_since_it_began(tmp_path: Path) -> None:
    with running(tmp_path, machine=MachineSection(name="Laser", finish="wait")) as bench:
        bench.use("ada")
        bench.advance(30_000)
        bench.post(vocabulary.CauseRaised(vocabulary.Cause.LOCK_AFTER_JOB, "belt"))
        bench.wait_for_status(lambda found: (found["state"], found["since"]) == ("finishing", "2026-11-24T12:00:00Z"))

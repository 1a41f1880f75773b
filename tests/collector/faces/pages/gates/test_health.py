"""What does ingest keep of a gate's health: does the job go on, is the clock set, when did it make sure of its roster?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Gate, Pulse
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal
from tests.collector.rosters import own_roster

MINUTE = timedelta(minutes=1)


def ran(store: Store, journal: Journal, running_ms: int, minute: int, session: str | None = "s-1") -> int | None:
    """Hear a state, and return at which minute the job was last seen to go on."""
    state = "active" if session else "idle"
    store.store([journal.state(state=state, session=session, running_ms=running_ms)], NOON + minute * MINUTE)
    at = Gate.objects.get().ran_at
    return None if at is None else (at - NOON) // MINUTE


def test_a_job_goes_on_while_its_counter_grows_and_stands_still_when_it_does_not(store, journal):
    store.store([journal.status()], NOON)
    assert ran(store, journal, 0, 1) is None
    assert ran(store, journal, 60_000, 2) == 2
    assert ran(store, journal, 60_000, 3) == 2
    assert ran(store, journal, 61_000, 9) == 9


def test_another_session_knows_nothing_of_the_job_before_it(store, journal):
    store.store([journal.status()], NOON)
    assert ran(store, journal, 60_000, 1) == 1
    assert ran(store, journal, 0, 2, session="s-2") is None
    assert ran(store, journal, 5_000, 3, session="s-3") == 3
    assert ran(store, journal, 0, 4, session=None) is None


def test_a_gate_that_loses_the_time_says_so_and_open_pages_hear_of_it(store, journal):
    store.store([journal.status(synced=True)], NOON)
    before = Pulse.newest()
    store.store([journal.status(synced=True)], NOON)
    assert Pulse.newest() == before
    store.store([journal.status(synced=False)], NOON)
    assert not Gate.objects.get().synced
    assert Pulse.objects.get(id__gt=before).topic == Pulse.FLOOR


@pytest.mark.parametrize(
    ("age_s", "expected"), [(120, NOON - 2 * MINUTE), (wire.MAX_SECONDS * 999, NOON - timedelta(days=366))]
)
def test_the_age_of_a_roster_is_kept_as_a_moment_however_absurd_it_is(store, journal, age_s, expected):
    store.store([journal.status(roster=own_roster(version=1, age_s=age_s))], NOON)
    assert Gate.objects.get().roster_confirmed_at == expected


def test_a_gate_that_does_not_know_the_age_takes_nothing_back(store, journal):
    store.store([journal.status(roster=own_roster(version=1, age_s=0))], NOON)
    store.store([journal.status(roster=own_roster(version=1))], NOON + MINUTE)
    assert Gate.objects.get().roster_confirmed_at == NOON


def test_a_roster_of_days_to_come_is_not_believed_and_said_among_the_gates_problems(store, journal):
    noon_ms, day_ms = round(NOON.timestamp() * 1000), 86_400_000
    honest, ahead, wild = noon_ms + day_ms, noon_ms + day_ms + 1, 1 << 53
    for version, believed in ((honest, honest), (ahead, honest), (wild, honest), (honest - 5, honest)):
        said = journal.status(roster=own_roster(version=version, age_s=0), problems=["reader: x"])
        store.store([said], NOON)
        gate = Gate.objects.get()
        assert gate.reported_roster == believed
        found = [problem for problem in gate.problems if problem.startswith("roster-ahead: ")]
        assert ("reader: x" in gate.problems, [str(version) in text for text in found]) == (
            True,
            [True] if version > honest else [],
        )


def test_a_roster_of_the_collectors_own_is_believed_although_its_clock_was_set_back_since(store, journal):
    store.store([journal.status()], NOON)
    version = round(NOON.timestamp() * 1000) + 5 * 86_400_000
    Gate.objects.update(roster_version=version)
    store.store([journal.status(roster=own_roster(version=version, age_s=0))], NOON)
    gate = Gate.objects.get()
    assert (gate.reported_roster, gate.problems) == (version, [])


@pytest.mark.parametrize("source", ["file", "collector:another", "collector", ""])
def test_a_roster_of_another_source_is_none_of_this_collectors_whatever_its_version(store, journal, source):
    """The time of a members file, or another collector's clock, made that version."""
    store.store([journal.status()], NOON)
    Gate.objects.update(roster_version=500)
    store.store([journal.status(roster=own_roster(version=500, age_s=0))], NOON)
    assert Gate.objects.get().knows_roster
    for version in (501, 1 << 53):
        store.store([journal.status(roster=wire.RosterInfo(version=version, age_s=0, source=source))], NOON)
        gate = Gate.objects.get()
        assert (gate.knows_roster, gate.reported_roster, gate.roster_confirmed_at) == (False, 0, None)
        assert gate.problems == []

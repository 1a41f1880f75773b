"""What does ingest keep of a gate's health: does the job go on, is the clock set, when did it make sure of its roster?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate import wire
from fabgate.collector.models import Gate, Pulse
from fabgate.collector.store import Store

from .gates import NOON, Journal

MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(database) -> Store:
    return Store("lyon")


@pytest.fixture
def journal() -> Journal:
    return Journal()


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
    store.store([journal.status(roster=wire.RosterInfo(version=1, age_s=age_s))], NOON)
    assert Gate.objects.get().roster_confirmed_at == expected


def test_a_gate_that_does_not_know_the_age_takes_nothing_back(store, journal):
    store.store([journal.status(roster=wire.RosterInfo(version=1, age_s=0))], NOON)
    store.store([journal.status(roster=wire.RosterInfo(version=1))], NOON + MINUTE)
    assert Gate.objects.get().roster_confirmed_at == NOON

"""The past of the demo could have been: nobody is in two places, and nothing happens while the workshop is closed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fabgate import wire
from fabgate.demo.furnishing.past import days
from fabgate.demo.furnishing.people import MEMBERS, MINOR, REGULARS, UIDS, DemoPerson
from fabgate.gate.journal.changes import Draft

#: A Saturday, days after the clocks went forward and back, and the first of January.
TODAYS = (date(2026, 11, 28), date(2026, 4, 1), date(2026, 10, 27), date(2027, 1, 1))
ZONES = (ZoneInfo("Europe/Paris"), ZoneInfo("America/Montreal"), ZoneInfo("UTC"))
PEOPLE = {person.id: person for person in (*MEMBERS, *REGULARS)}
KNOWN = days.Known(
    {card: card for card in (*UIDS, "visitor")},
    {(person.id, machine): 1 for person in PEOPLE.values() for machine in person.machines.split()},
)


@dataclass
class Session:
    """A session as the entries tell it, with true times."""

    machine: str
    person: DemoPerson
    started: Draft
    ended: Draft
    began: datetime
    over: datetime


class Past:
    def __init__(self, today: date, zone: ZoneInfo) -> None:
        self.today, self.zone = today, zone
        pasts = days.write(today, zone, KNOWN, version="0.1.0", chance=random.Random(7))
        self.drafts = {past.gate: [draft for drafts in past.days.values() for draft in drafts] for past in pasts}
        self.machines = {machine.gate: machine for machine in days.MACHINES}

    def sessions(self) -> Iterator[Session]:
        for gate, drafts in self.drafts.items():
            starts = {draft.data.session: draft for draft in drafts if isinstance(draft.data, wire.SessionStarted)}
            on = self._began(drafts)
            for ended in drafts:
                if isinstance(ended.data, wire.SessionEnded):
                    started = starts.pop(ended.data.session)
                    clock = started.data.clock
                    began = on[clock.boot] + timedelta(milliseconds=clock.boottime_ms)
                    over = began + timedelta(milliseconds=ended.data.energised_ms)
                    person = PEOPLE[ended.data.member]
                    yield Session(self.machines[gate].name, person, started, ended, began, over)
            assert not starts, "a session never ended"

    def _began(self, drafts: list[Draft]) -> dict[str, datetime]:
        """Return when each boot began, by the last time that its clock was set."""
        return {
            draft.data.clock.boot: draft.time - timedelta(milliseconds=draft.data.clock.boottime_ms)
            for draft in drafts
            if draft.type == "clock.synced" and draft.time is not None
        }

    def refusals(self) -> Iterator[tuple[str, wire.AccessRefused, date]]:
        for gate, drafts in self.drafts.items():
            for draft in drafts:
                if isinstance(draft.data, wire.AccessRefused):
                    assert draft.time is not None
                    yield self.machines[gate].name, draft.data, draft.time.astimezone(self.zone).date()


@pytest.fixture(scope="module", params=[(today, zone) for today in TODAYS for zone in ZONES], ids=str)
def past(request: pytest.FixtureRequest) -> Past:
    return Past(*request.param)


def test_the_entries_of_a_gate_follow_each_other_on_its_clock(past):
    for drafts in past.drafts.values():
        clocks = [(draft.data.clock.boot, draft.data.clock.boottime_ms) for draft in drafts]
        boots = list(dict.fromkeys(boot for boot, _ in clocks))
        assert len(boots) == 2, "one power cut"
        assert clocks == sorted(clocks, key=lambda clock: (boots.index(clock[0]), clock[1]))


def test_machines_are_used_while_the_workshop_is_open_and_before_today(past):
    for session in past.sessions():
        began, over = (moment.astimezone(past.zone) for moment in (session.began, session.over))
        opens, closes = days.OPEN[began.isoweekday()]
        assert began.date() == over.date() < past.today
        assert opens <= began.time(), session
        assert over.time() < closes, session


def test_nobody_uses_two_machines_and_no_machine_serves_two_people_at_once(past):
    places: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for session in past.sessions():
        places[session.person.id].append((session.began, session.over))
        places[session.machine].append((session.began, session.over))
    for place, times in places.items():
        for (_, over), (began, _) in zip(sorted(times), sorted(times)[1:], strict=False):
            assert over <= began + timedelta(seconds=1), place


def test_only_trained_members_of_that_day_use_a_machine_and_a_minor_with_a_supervisor(past):
    lapsed = past.today - timedelta(days=days.LAPSED_DAYS)
    for session in past.sessions():
        day = session.began.astimezone(past.zone).date()
        trained = days.trained_on(session.person, session.machine, past.today)
        assert trained is not None
        assert trained <= day
        assert session.person.id != days.LAPSED or day <= lapsed
        assert (session.started.data.supervisor is not None) == (session.person.id == MINOR)


def test_each_refusal_has_a_reason_that_held_on_that_day(past):
    seen = set()
    for machine, refused, day in past.refusals():
        (reason,) = refused.reasons
        seen.add(reason)
        person = PEOPLE.get(refused.member or "")
        if reason == "training-missing":
            assert person is not None
            trained = days.trained_on(person, machine, past.today)
            assert trained is None or trained > day
        elif reason == "expired":
            assert person is not None
            assert person.id == days.LAPSED
            assert day > past.today - timedelta(days=days.LAPSED_DAYS)
        elif reason == "payment-due":
            first, last = (past.today - timedelta(days=ago) for ago in days.OWED_DAYS)
            assert first < day < last
        elif reason in ("unknown-badge", "badge-lost"):
            assert person is None
        assert day.isoweekday() in days.OPEN
    assert seen >= {"training-missing", "unknown-badge", "expired", "badge-lost", "supervisor-needed", "in-use"}


def test_counters_are_what_the_clock_of_the_gate_says(past):
    for session in past.sessions():
        started, ended = session.started.data, session.ended.data
        if ended.reason == "power-loss":
            assert started.clock.boot != ended.clock.boot
            assert ended.uncertainty_ms == days.POWER_LOSS_MS
        else:
            assert ended.clock.boottime_ms - started.clock.boottime_ms == ended.energised_ms
            assert ended.uncertainty_ms == 0


def test_there_is_enough_to_fill_a_page_and_something_to_review(past):
    sessions = list(past.sessions())
    assert 300 < len(sessions) < 900
    assert len({session.person.id for session in sessions}) > 15
    assert sum(session.ended.data.reason == "power-loss" for session in sessions) == 2
    (wrong,) = [
        session
        for session in sessions
        if session.started.time is not None and abs(session.started.time - session.began) > timedelta(minutes=5)
    ]
    assert wrong.machine == "laser"
    assert {
        session.machine
        for session in sessions
        if session.over > datetime.combine(past.today - timedelta(days=5), datetime.min.time(), UTC)
    } == {"laser", "saw", "printer"}

"""When is a machine open, and what do its gates hear of it? Wednesday, 25 November 2026, is today."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError

from fabgate import wire
from fabgate.collector.ground.models import Machine, Opening, SpecialDay
from fabgate.collector.members.access.opening_hours import Calendar, ends_tomorrow, hours_until, is_over, night_at
from fabgate.gate.roster import people as gate_people
from fabgate.rules import access, vocabulary

pytestmark = pytest.mark.usefixtures("database")
TODAY = date(2026, 11, 25)
PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
def saw() -> Machine:
    return Machine.objects.create(name="saw", category="wood")


def weekly(days: list[int], start: str, to: str, **scope: Any) -> Opening:
    return Opening.objects.create(days=days, start=time.fromisoformat(start), to=time.fromisoformat(to), **scope)


def special(day: date, hours: str = "", **more: Any) -> SpecialDay:
    start, _, to = hours.partition("-")
    at = {"start": time.fromisoformat(start), "to": time.fromisoformat(to)} if hours else {}
    return SpecialDay.objects.create(day=day, **at, **more)


def windows(machine: Machine, today: date = TODAY) -> list[tuple[list[int], str, str]] | None:
    found = Calendar(today).windows(machine)
    return None if found is None else [(one.days, one.start, one.to) for one in found]


def is_open(machine: Machine, moment: str, today: date = TODAY) -> bool:
    """Ask the gate's own rules."""
    hours = Calendar(today).windows(machine) or []
    member = gate_people.member(wire.Member(id="m-1", badges=["d"], windows=hours))
    now = vocabulary.Now(boot_ms=0, local=datetime.fromisoformat(moment).replace(tzinfo=PARIS), synced=True)
    found = access.decide(member, rules=vocabulary.MachineRules(), causes=frozenset(), stale=False, now=now)
    return found.basis is not None


def test_without_any_hours_a_machine_is_always_open_and_rosters_say_nothing_of_it(saw):
    assert windows(saw) is None


def test_the_workshops_hours_are_those_of_every_machine_that_has_none_of_its_own(saw):
    weekly([1, 2, 3, 4, 5], "09:00", "18:00")
    weekly([6], "10:00", "12:30")
    assert windows(saw) == [([1, 2, 3, 4, 5], "09:00", "18:00"), ([6], "10:00", "12:30")]


def test_a_category_has_hours_of_its_own_and_a_machine_before_it(saw):
    weekly([1, 2, 3, 4, 5], "09:00", "18:00")
    weekly([2], "14:00", "16:00", category="wood")
    assert windows(saw) == [([2], "14:00", "16:00")]
    weekly([3], "10:00", "11:00", machine=saw)
    assert windows(saw) == [([3], "10:00", "11:00")]
    assert windows(Machine.objects.create(name="laser", category="laser")) == [([1, 2, 3, 4, 5], "09:00", "18:00")]


def test_hours_over_midnight_are_cut_at_midnight_and_the_gate_opens_through_it(saw):
    weekly([5], "20:00", "02:00")
    assert windows(saw) == [([6], "00:00", "02:00"), ([5], "20:00", "24:00")]
    asked = [
        ("2026-11-27T19:59", False),
        ("2026-11-27T23:59", True),
        ("2026-11-28T01:59", True),
        ("2026-11-28T02:00", False),
    ]
    assert [is_open(saw, moment) for moment, _ in asked] == [answer for _, answer in asked]


def test_a_special_day_replaces_the_hours_of_its_date_and_of_no_other_week(saw):
    weekly([1, 2, 3, 4, 5], "09:00", "18:00")
    special(TODAY, "09:00-23:00", note="Open late tonight")
    assert is_open(saw, "2026-11-25T22:30")
    assert not is_open(saw, "2026-11-26T22:30")
    # A week later the same weekday is as usual; the roster of the day before says so already.
    assert not is_open(saw, "2026-12-02T22:30", today=TODAY + timedelta(days=1))


def test_hours_past_midnight_stay_open_when_the_roster_is_rebuilt_at_midnight(saw):
    weekly([1, 2, 3, 4, 5], "09:00", "18:00")
    special(TODAY, "09:00-02:00")
    assert is_open(saw, "2026-11-26T01:30", today=TODAY)
    assert is_open(saw, "2026-11-26T01:30", today=TODAY + timedelta(days=1))
    assert not is_open(saw, "2026-11-26T02:30", today=TODAY + timedelta(days=1))


def test_a_day_on_which_the_workshop_is_closed_closes_machines_that_have_hours_of_their_own(saw):
    weekly([1, 2, 3, 4, 5, 6, 7], "00:00", "00:00", machine=saw)
    assert windows(saw) is None  # always open, said by hours
    special(TODAY + timedelta(days=1), note="Holiday")
    assert windows(saw) == [([1, 2, 3, 5, 6, 7], "00:00", "24:00")]


def test_a_machines_own_hours_do_not_lengthen_when_the_workshop_is_open_late(saw):
    weekly([3], "09:00", "18:00")
    weekly([3], "10:00", "16:00", machine=saw)
    special(TODAY, "14:00-23:00")
    assert windows(saw) == [([3], "14:00", "16:00")]


def test_a_machines_own_special_day_overrides_a_closed_workshop(saw):
    weekly([3], "09:00", "18:00")
    special(TODAY)
    special(TODAY, "13:00-14:00", machine=saw)
    assert windows(saw) == [([3], "13:00", "14:00")]


@pytest.mark.parametrize(
    ("that_day", "own"),
    [
        ("09:00-22:00", ("08:00", "23:00")),  # as long as usual and longer: nothing is taken away
        ("08:00-18:00", ("08:00", "23:00")),
        ("10:00-22:00", ("10:00", "22:00")),  # an hour of the usual ones is missing
        ("09:00-17:00", ("09:00", "17:00")),
        ("", None),  # closed
    ],
)
def test_a_longer_day_of_the_workshop_does_not_shorten_a_machines_own_hours(saw, that_day, own):
    weekly([3], "09:00", "18:00")
    weekly([3], "08:00", "23:00", category="wood")
    special(TODAY, that_day)
    assert windows(saw) == ([([3], *own)] if own else [])


def test_a_holiday_closes_machines_with_own_hours_even_on_a_weekday_without_workshop_hours(saw):
    weekly([1], "09:00", "18:00")
    weekly([3], "08:00", "23:00", machine=saw)
    special(TODAY, "10:00-12:00")
    assert windows(saw) == [([3], "08:00", "23:00")]
    special(TODAY)
    assert windows(saw) == []


def test_a_special_day_with_hours_shortens_an_always_open_workshop(saw):
    weekly([3], "08:00", "23:00", category="wood")
    special(TODAY, "09:00-18:00")
    assert windows(saw) == [([3], "09:00", "18:00")]


def test_closed_outweighs_hours_of_the_same_day(saw):
    weekly([3, 4], "09:00", "18:00")
    special(TODAY, "13:00-14:00")
    special(TODAY)
    assert windows(saw) == [([4], "09:00", "18:00")]


@pytest.mark.parametrize(
    ("moment", "found", "opens"),
    [
        ("2026-11-25T08:59", False, (TODAY, "09:00")),
        ("2026-11-25T09:00", True, (TODAY, "14:00")),
        ("2026-11-25T12:00", False, (TODAY, "14:00")),
        ("2026-11-25T23:59", True, (TODAY + timedelta(days=1), "00:00")),
        ("2026-11-26T00:59", True, (TODAY + timedelta(days=6), "09:00")),
        ("2026-11-26T01:00", False, (TODAY + timedelta(days=6), "09:00")),
    ],
)
def test_a_page_says_open_when_the_gates_rules_do_and_when_it_opens_next(saw, moment, found, opens):
    weekly([2, 3], "09:00", "12:00")
    weekly([3], "14:00", "01:00")
    at = datetime.fromisoformat(moment)
    calendar = Calendar(at.date())
    assert calendar.is_open(saw, at) == is_open(saw, moment, at.date()) == found
    assert calendar.opens(saw, at) == opens


def test_a_machine_closed_for_seven_days_has_no_next_opening(saw):
    weekly([3], "09:00", "12:00", category="metal")
    for ahead in range(7):
        special(TODAY + timedelta(days=ahead))
    at = datetime(2026, 11, 25, 10, tzinfo=PARIS)
    assert (Calendar(TODAY).is_open(saw, at), Calendar(TODAY).opens(saw, at)) == (False, None)


def test_windows_that_touch_are_one(saw):
    weekly([3], "09:00", "12:00")
    weekly([3], "12:00", "14:00")
    weekly([3], "13:00", "15:00")
    assert windows(saw) == [([3], "09:00", "15:00")]


def test_a_workshop_that_is_closed_all_week_has_no_window_and_that_is_not_always_open(saw):
    weekly([3], "09:00", "18:00")
    special(TODAY)
    assert windows(saw) == []


def test_tonight_is_todays_hours_with_a_later_end(saw):
    weekly([3], "09:00", "12:00")
    weekly([3], "14:00", "18:00")
    now = datetime(2026, 11, 25, 17, 5, tzinfo=PARIS)
    assert hours_until(Calendar(TODAY), now, time(23)) == [(time(9), time(12)), (time(14), time(23))]
    assert hours_until(Calendar(TODAY), now + timedelta(days=1), time(23)) == [(time(17, 5), time(23))]


@pytest.mark.parametrize(("now", "ahead"), [(time(0, 30), -1), (time(5, 59), -1), (time(6), 0), (time(23), 0)])
def test_until_six_in_the_morning_it_is_the_night_of_the_day_before(now, ahead):
    weekly([2, 3], "09:00", "18:00")
    assert night_at(Calendar(TODAY), datetime.combine(TODAY, now, PARIS)) == TODAY + timedelta(days=ahead)


def test_no_night_is_running_after_a_day_without_hours_but_one_is_where_it_is_always_open():
    small_hours = datetime.combine(TODAY, time(0, 30), PARIS)
    assert night_at(Calendar(TODAY), small_hours) == TODAY - timedelta(days=1)
    weekly([3], "09:00", "18:00")
    assert night_at(Calendar(TODAY), small_hours) == TODAY


def test_after_midnight_the_hours_of_the_day_before_get_a_later_end():
    weekly([2], "09:00", "01:00")
    weekly([3], "14:00", "18:00")
    small_hours = datetime.combine(TODAY, time(0, 30), PARIS)
    assert hours_until(Calendar(TODAY), small_hours, time(3)) == [(time(9), time(3))]


@pytest.mark.parametrize(
    ("start", "to", "now", "expected"),
    [
        (time(9), time(18), time(17, 59), False),
        (time(9), time(18), time(18), True),
        (time(9), time(2), time(23, 59), False),
        (time(0), time(0), time(23, 59), False),
    ],
)
def test_hours_are_over_once_they_have_ended_and_those_past_midnight_never_before_it(start, to, now, expected):
    assert is_over(TODAY, start, to, datetime.combine(TODAY, now)) == expected


@pytest.mark.parametrize(("now", "expected"), [(time(1, 59), False), (time(2), True)])
def test_hours_of_last_night_are_over_once_it_has_ended(now, expected):
    assert is_over(TODAY - timedelta(days=1), time(9), time(2), datetime.combine(TODAY, now)) == expected


@pytest.mark.parametrize(
    ("start", "to", "expected"),
    [
        (time(21, 5), time(21), True),
        (time(14), time(13), True),
        (time(14), time(6, 1), True),
        (time(14), time(6), False),
        (time(14), time(0), False),
        (time(14), time(23, 59), False),
        (time(0), time(0), False),
    ],
)
def test_hours_that_end_after_the_night_are_tomorrows(start, to, expected):
    assert ends_tomorrow(start, to) == expected


def test_hours_are_of_a_machine_or_of_a_category_and_not_of_both(saw):
    with pytest.raises(IntegrityError):
        weekly([3], "09:00", "12:00", machine=saw, category="wood")


def test_hours_of_a_special_day_have_both_ends():
    with pytest.raises(IntegrityError):
        SpecialDay.objects.create(day=TODAY, start=time(9))

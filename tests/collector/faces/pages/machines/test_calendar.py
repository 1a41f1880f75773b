"""The calendar: hours of every week, days unlike the others, open late tonight; and what gates hear of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.faces.pages.machines import calendar
from fabgate.collector.ground.models import Badge, Change, Gate, Group, Machine, Member, Opening, SpecialDay
from fabgate.collector.members.access import opening_hours, roster
from fabgate.collector.members.people.blocks import today
from fabgate.collector.processes.worker import Worker
from tests.collector.faces.pages.counter import text
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env", "told")


@pytest.fixture
def gate() -> Gate:
    """A saw that Ada, and Cleo who mends it, may use."""
    saw = Machine.objects.create(name="saw", title="Bandsaw", category="wood")
    found = Gate.objects.create(name="saw-1", machine=saw)
    Member.objects.create(id="m-1", name="Ada").machines.add(saw)
    Member.objects.create(id="m-2", name="Cleo", level="maintainer").machines.add(saw)
    for number, member in enumerate(("m-1", "m-2")):
        Badge.objects.create(spelling=f"04:00:00:0{number}", digest=f"d{number}", member_id=member)
    roster.rebuild()
    return found


def windows(gate: Gate, member: str = "m-1") -> list[tuple[list[int], str, str]]:
    (found,) = [one for one in served(gate).members if one.id == member]
    return [(one.days, one.start, one.to) for one in found.windows]


ALL_WEEK = {"scope": "", "days": ["1", "2", "3", "4", "5", "6", "7"], "start": "09:00", "to": "18:00"}


def test_without_hours_the_page_says_that_all_is_open_and_rosters_have_no_windows(browse, gate):
    assert "every machine is always open" in text(browse("manager").get("/machines/calendar"))
    assert windows(gate) == []


def test_weekly_hours_are_in_the_roster_at_once_and_bind_all_but_maintainers(browse, gate, told):
    answer = browse("maintainer").post("/machines/calendar/weekly", ALL_WEEK, follow=True)
    assert answer.redirect_chain == [("/machines/calendar", 303)]
    assert windows(gate) == [([1, 2, 3, 4, 5, 6, 7], "09:00", "18:00")]
    assert windows(gate, "m-2") == []
    assert [message.topic for message in told] == ["fabgate/v1/lyon/saw-1/roster"]
    page = text(answer)
    assert "Mon\N{EN DASH}Sun" in page
    assert "Not yet applied on the gate" in page


def test_hours_of_a_category_are_those_of_its_machines_only(browse, gate):
    laser = Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="laser", category="laser"))
    Member.objects.get(pk="m-1").machines.add(laser.machine)
    browse("manager").post("/machines/calendar/weekly", {**ALL_WEEK, "scope": "category:wood"})
    assert windows(gate) == [([1, 2, 3, 4, 5, 6, 7], "09:00", "18:00")]
    assert windows(laser) == []


def test_hours_are_taken_out_again_and_the_log_keeps_them(browse, gate):
    client = browse("manager")
    client.post("/machines/calendar/weekly", ALL_WEEK)
    sent = {"kind": "weekly", "pk": str(Opening.objects.get().pk)}
    assert client.post("/machines/calendar/remove", sent).status_code == 303
    assert windows(gate) == []
    change = Change.objects.get(verb="hours.removed")
    assert (change.kind, change.before["start"], change.after) == ("opening", "09:00:00", {})
    assert client.post("/machines/calendar/remove", sent).status_code == 409


@pytest.mark.parametrize(
    "sent", [{}, {"kind": "weekly", "pk": "x"}, {"kind": "account", "pk": "1"}, {"kind": "special", "pk": "9" * 40}]
)
def test_what_is_not_there_cannot_be_taken_out(browse, gate, sent):
    assert browse("manager").post("/machines/calendar/remove", sent).status_code == 409


def test_a_closed_day_is_closed_and_says_why(browse, gate):
    client = browse("manager")
    client.post("/machines/calendar/weekly", ALL_WEEK)
    day = today() + timedelta(days=2)
    client.post("/machines/calendar/special", {"scope": "", "day": day.isoformat(), "note": "Works holiday"})
    ((days, start, to),) = windows(gate)
    assert (sorted({1, 2, 3, 4, 5, 6, 7} - set(days)), start, to) == ([day.isoweekday()], "09:00", "18:00")
    assert "Works holiday" in text(client.get("/machines/calendar"))
    assert "Works holiday" in text(client.get("/machines/saw"))


def test_a_day_beyond_the_week_touches_no_roster_yet_and_the_worker_brings_it(browse, gate):
    client = browse("manager")
    client.post("/machines/calendar/weekly", ALL_WEEK)
    version = served(gate).version
    far = today() + timedelta(days=40)
    answer = client.post("/machines/calendar/special", {"scope": "", "day": far.isoformat()}, follow=True)
    assert "No gate is affected within the next seven days" in text(answer)
    assert served(gate).version == version
    SpecialDay.objects.update(day=today())  # forty days go by
    Worker()._due(datetime.now(UTC))
    assert served(gate).version > version


def test_a_member_who_finds_no_open_hour_all_week_is_refused_and_not_let_in_always(browse, gate):
    client = browse("manager")
    client.post("/machines/calendar/weekly", {**ALL_WEEK, "days": [str(today().isoweekday())]})
    client.post("/machines/calendar/special", {"scope": "", "day": today().isoformat()})
    found = served(gate)
    assert [member.id for member in found.members] == ["m-2"]
    assert [(one.id, one.reasons) for one in found.refusals] == [("m-1", ["outside-hours"])]


@pytest.mark.usefixtures("at_six")
def test_open_late_tonight_lengthens_today_and_nothing_else(browse, gate):
    client = browse("desk")
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(18))
    SpecialDay.objects.create(day=today(), start=time(9), to=time(20), note="Course")
    assert client.post("/machines/calendar/tonight", {"to": "00:00"}).status_code == 303
    row = SpecialDay.objects.get()
    assert (row.day, row.start, row.to, row.note) == (today(), time(9), time(0), "Open late tonight")
    weekday = today().isoweekday()
    others = [day for day in range(1, 8) if day != weekday]
    assert windows(gate) == [(others, "09:00", "18:00"), ([weekday], "09:00", "24:00")]


@pytest.mark.usefixtures("at_six")
@pytest.mark.parametrize("until", ["09:00", "09:00:30"])
def test_open_late_until_when_it_begins_is_refused_and_not_taken_for_a_day(browse, gate, until):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(18))
    SpecialDay.objects.create(day=today(), start=time(9), to=time(20), note="Course")
    answer = browse("desk").post("/machines/calendar/tonight", {"to": until})
    assert answer.status_code == 400
    assert "Start and end would both be 09:00. Choose a later time" in text(answer)
    assert SpecialDay.objects.get().note == "Course"


@pytest.mark.usefixtures("at_six")
def test_open_late_until_what_is_past_is_refused_and_closes_nothing(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(18))
    answer = browse("desk").post("/machines/calendar/tonight", {"to": "10:00"})
    assert answer.status_code == 400
    assert re.search("It is already 18:[0-9]{2}: this would close the workshop", text(answer))
    assert not SpecialDay.objects.exists()


@pytest.mark.usefixtures("at_six")
def test_open_late_shortens_neither_the_hours_of_a_category_nor_those_of_a_machine(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(18))
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(8), to=time(23), category="wood")
    roster.rebuild()
    before = windows(gate)
    assert browse("desk").post("/machines/calendar/tonight", {"to": "21:00"}).status_code == 303
    assert windows(gate) == before == [([1, 2, 3, 4, 5, 6, 7], "08:00", "23:00")]


@pytest.mark.usefixtures("at_six")
def test_open_late_until_before_the_usual_end_is_refused_and_closes_nothing(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(0))
    answer = browse("desk").post("/machines/calendar/tonight", {"to": "23:00"})
    assert answer.status_code == 400
    assert "The workshop is already open until 24:00. Choose a later time" in text(answer)
    assert not SpecialDay.objects.exists()


@pytest.mark.usefixtures("at_six")
def test_open_late_is_put_right_by_an_earlier_time_that_is_still_late(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(18))
    client = browse("desk")
    for until in ("23:00", "22:00"):
        assert client.post("/machines/calendar/tonight", {"to": until}).status_code == 303
    assert SpecialDay.objects.get().to == time(22)


@pytest.mark.usefixtures("at_six")
def test_open_late_lengthens_a_day_that_was_shortened_by_less_than_it_lost(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(22))
    SpecialDay.objects.create(day=today(), start=time(9), to=time(19), note="Eve")
    assert browse("desk").post("/machines/calendar/tonight", {"to": "21:00"}).status_code == 303
    assert SpecialDay.objects.get().to == time(21)


@pytest.mark.usefixtures("at_six")
def test_open_late_until_an_hour_of_tomorrow_is_refused(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(14), to=time(18))
    answer = browse("desk").post("/machines/calendar/tonight", {"to": "13:00"})
    assert answer.status_code == 400
    assert "The time that you entered would be tomorrow, 13:00. Choose a later time today" in text(answer)
    assert not SpecialDay.objects.exists()


@pytest.mark.usefixtures("at_six")
def test_a_day_that_is_open_from_midnight_is_open_all_of_it_by_late_until_midnight(browse, gate):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(0), to=time(18))
    assert browse("desk").post("/machines/calendar/tonight", {"to": "00:00"}).status_code == 303
    row = SpecialDay.objects.get()
    assert (row.start, row.to) == (time(0), time(0))


@pytest.fixture
def at_half_past_midnight(monkeypatch) -> datetime:
    """Let the workshop be where it is half an hour after midnight."""
    found = datetime.combine(today(), time(0, 30), ZoneInfo(settings.ENVIRONMENT.tz))
    monkeypatch.setattr(calendar, "_now", lambda: found)
    return found


def test_open_late_after_midnight_means_the_night_that_is_running(browse, gate, at_half_past_midnight):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(1))
    client = browse("desk")
    assert "Before 06:00, “tonight” means the night that has already begun." in text(client.get("/machines/calendar"))
    assert client.post("/machines/calendar/tonight", {"to": "03:00"}).status_code == 303
    row = SpecialDay.objects.get()
    assert (row.day, row.start, row.to) == (today() - timedelta(days=1), time(9), time(3))
    found = opening_hours.Calendar(today())
    machine = Machine.objects.get(name="saw")
    assert [found.is_open(machine, at_half_past_midnight.replace(hour=hour)) for hour in (2, 3, 9)] == [
        True,
        False,
        True,
    ]


def test_open_late_after_midnight_replaces_what_was_set_for_the_day_before_and_nothing_else(
    browse, gate, at_half_past_midnight
):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=time(1))
    yesterday, machine = today() - timedelta(days=1), Machine.objects.get(name="saw")
    SpecialDay.objects.create(day=yesterday, start=time(9), to=time(2), note="Course")
    others = [
        SpecialDay.objects.create(day=today(), note="Holiday"),
        SpecialDay.objects.create(day=yesterday, machine=machine, start=time(10), to=time(12)),
        SpecialDay.objects.create(day=yesterday, category="wood", start=time(10), to=time(13)),
    ]
    client = browse("desk")
    shown = client.get("/machines/calendar").context
    assert "Course" in shown["tonight"]["hours"].value()
    assert [one["row"].note for one in shown["days"] if one["row"].day == yesterday and not one["scope"]] == ["Course"]
    assert client.post("/machines/calendar/tonight", {"to": "03:00"}).status_code == 303
    (row,) = SpecialDay.objects.exclude(pk__in=[one.pk for one in others])
    assert (row.day, row.start, row.to, row.note) == (yesterday, time(9), time(3), "Open late tonight")
    assert SpecialDay.objects.count() == 4


@pytest.mark.parametrize("usual_end", [time(0), time(1)])
def test_open_late_after_midnight_until_what_is_past_is_refused(browse, gate, at_half_past_midnight, usual_end):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(9), to=usual_end)
    answer = browse("desk").post("/machines/calendar/tonight", {"to": "00:15"})
    assert answer.status_code == 400
    assert "It is already 00:30: this would close the workshop" in text(answer)
    assert not SpecialDay.objects.exists()


def test_in_a_night_that_is_always_open_nothing_is_opened_late_before_a_holiday(browse, gate, at_half_past_midnight):
    SpecialDay.objects.create(day=today(), note="Holiday")
    answer = browse("desk").post("/machines/calendar/tonight", {"to": "03:00"})
    assert answer.status_code == 400
    assert "the workshop is always open" in text(answer)
    assert SpecialDay.objects.get().note == "Holiday"


def test_open_late_after_midnight_behind_a_closed_day_begins_now_and_leaves_today_as_it_is(
    browse, gate, at_half_past_midnight
):
    Opening.objects.create(days=[today().isoweekday()], start=time(9), to=time(18))
    assert browse("desk").post("/machines/calendar/tonight", {"to": "02:00"}).status_code == 303
    rows = SpecialDay.objects.order_by("start").values_list("day", "start", "to")
    assert list(rows) == [(today(), time(0, 30), time(2)), (today(), time(9), time(18))]


@pytest.mark.parametrize("until", ["00:00", "06:01", "23:00"])
def test_open_late_after_midnight_behind_a_closed_day_opens_no_day(browse, gate, at_half_past_midnight, until):
    Opening.objects.create(days=[today().isoweekday()], start=time(9), to=time(18))
    answer = browse("desk").post("/machines/calendar/tonight", {"to": until})
    assert answer.status_code == 400
    assert "Choose a time from now until 06:00" in text(answer)
    assert not SpecialDay.objects.exists()


def test_a_day_that_is_closed_keeps_the_tail_of_last_night_and_the_form_says_so(browse, gate):
    client = browse("manager")
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start=time(20), to=time(2))
    client.post("/machines/calendar/special", {"scope": "", "day": today().isoformat()})
    assert "Opening hours that run past midnight from the day before still end at their set time." in text(
        client.get("/machines/calendar")
    )
    machine, midnight = Machine.objects.get(name="saw"), datetime.combine(today(), time())
    found = opening_hours.Calendar(today())
    assert [found.is_open(machine, midnight.replace(hour=hour)) for hour in (1, 2, 21)] == [True, False, False]


def test_where_it_is_open_always_nothing_is_opened_late(browse, gate):
    answer = browse("desk").post("/machines/calendar/tonight", {"to": "22:30"})
    assert answer.status_code == 400
    assert not SpecialDay.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"days": []}, "Choose at least one day"),
        ({"days": ["8"]}, "Select a valid choice"),
        ({"start": "noon"}, "Enter a time such as 18:30"),
        ({"to": ""}, "This field is required"),
        ({"scope": "machine:nothing"}, "Select a valid choice"),
    ],
)
def test_hours_that_mean_nothing_are_refused_beside_their_field(browse, gate, wrong, said):
    answer = browse("manager").post("/machines/calendar/weekly", {**ALL_WEEK, **wrong})
    assert answer.status_code == 400
    assert said in text(answer)
    assert not Opening.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"day": "1 May"}, "year-month-day"),
        ({"day": "2020-05-01"}, "This day has passed"),
        ({"start": "10:00"}, "Enter both times"),
        ({"to": "10:00"}, "Enter both times"),
        ({"start": "25:00", "to": "26:00"}, "Enter a time such as 18:30"),
    ],
)
def test_a_special_day_that_means_nothing_is_refused_beside_its_field(browse, gate, wrong, said):
    sent = {"scope": "", "day": (today() + timedelta(days=1)).isoformat(), "note": "x", **wrong}
    answer = browse("manager").post("/machines/calendar/special", sent)
    assert answer.status_code == 400
    assert said in text(answer)
    assert not SpecialDay.objects.exists()


def test_the_desk_opens_late_and_sets_no_weekly_hours(browse, gate):
    Opening.objects.create(days=[1], start=time(9), to=time(18))
    client = browse("desk")
    page = text(client.get("/machines/calendar"))
    assert "Open late" in page
    assert "Add hours" not in page
    assert "Remove" not in page
    assert client.post("/machines/calendar/weekly", ALL_WEEK).status_code == 403


def test_the_next_days_are_written_as_people_read_them(browse, gate):
    Opening.objects.create(days=[1, 2, 4], start=time(0), to=time(0))
    Opening.objects.create(days=[3, 5], start=time(20), to=time(2), machine=gate.machine)
    page = text(browse("manager").get("/machines/calendar"))
    assert "Mon, Tue, Thu" in page
    assert "Wed, Fri" in page
    assert "open all day" in page
    assert "20:00\N{EN DASH}02:00" in page


def test_a_class_comes_within_the_hours_too(gate):
    group = Group.objects.create(name="5B", kind=Group.CLASS)
    group.machines.add(gate.machine)
    Badge.objects.create(spelling="04:00:00:09", digest="d9", kind=Badge.CLASS, group=group)
    Opening.objects.create(days=[1], start=time(9), to=time(18))
    roster.rebuild()
    assert windows(gate, group.roster_id) == [([1], "09:00", "18:00")]


@pytest.mark.parametrize("form", ["weekly", "special"])
def test_hours_that_end_when_they_begin_are_refused_and_midnight_to_midnight_is_a_whole_day(browse, gate, form):
    typed = {"days": ["1"]} if form == "weekly" else {"day": (today() + timedelta(days=1)).isoformat()}
    client, page = browse("manager"), f"/machines/calendar/{form}"
    answer = client.post(page, {"scope": "", "start": "09:00", "to": "09:00", **typed})
    assert answer.status_code == 400
    assert "For the whole day enter 00:00 to 00:00." in text(answer)
    assert not Opening.objects.exists()
    assert not SpecialDay.objects.exists()
    assert client.post(page, {"scope": "", "start": "00:00", "to": "00:00", **typed}).status_code == 303
    assert "open all day" in text(client.get("/machines/calendar"))

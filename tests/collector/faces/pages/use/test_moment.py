"""Does one page answer the insurer: who used it then, trained by whom, locked or not, and how sure is that?"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from fabgate import wire
from fabgate.collector.faces.pages.use.moment import answer as moment_answer
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Badge, Change, Gate, Grant, Hole, Journal, Machine, Training, UsageSession
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.used import BOOTED, MINUTE, NOON, Used, machine, text

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def used(database) -> Used:
    used = Used()
    used.session("s-1", "m-1", NOON, 30)
    used.session("s-2", "m-2", NOON + 60 * MINUTE, 20)
    return used


def asked(at: datetime, name: str = "bandsaw") -> str:
    return f"/use/moment?machine={machine(name)}&day={at:%Y-%m-%d}&time={at:%H:%M}"


def answer(at: datetime) -> dict:
    return moment_answer.answer(Machine.objects.get(name="bandsaw"), at)


def granted(**more) -> Grant:
    training = Training.objects.get_or_create(name="saws", defaults={"title": "Saws"})[0]
    training.machines.add(Machine.objects.get(name="bandsaw"))
    said = {"member_id": "m-1", "training": training, "stage": "autonomous", "since": NOON.date() - timedelta(days=30)}
    return Grant.objects.create(**{**said, "trainer": "Maya", "created_at": NOON - timedelta(days=30), **more})


def test_who_used_it_is_named_with_trainer_and_clock(used, browse):
    granted()
    shown = text(browse("auditor").get(asked(NOON + 10 * MINUTE)))
    for word in ("Zoé Müller", "Was using it", "Yes, on record at that time", "Saws", "Maya", "Nothing is missing"):
        assert word in shown
    assert "data-print" in shown


def test_between_sessions_nobody_is_named_but_the_neighbours(used, browse):
    found = answer(NOON + 45 * MINUTE)
    assert found["covers"] == []
    assert (found["before"]["who"], found["after"]["who"]) == ("Zoé Müller", "Bjørn Sørensen")
    assert "No session on record covers this moment." in text(browse("auditor").get(asked(NOON + 45 * MINUTE)))


def test_an_uncertain_end_may_cover_a_moment_after_it(used):
    used.session("s-3", "m-3", NOON + 90 * MINUTE, 10, reason="power-loss", uncertainty_ms=900_000)
    assert [(cover.who, cover.perhaps) for cover in answer(NOON + 110 * MINUTE)["covers"]] == [
        ("Zoé Petit", "uncertain")
    ]
    assert answer(NOON + 116 * MINUTE)["covers"] == []


def test_an_open_session_covers_now_while_its_gate_is_heard_and_perhaps_what_came_after_its_last_word(used, browse):
    began = used.now - timedelta(hours=5)
    used.begin("s-3", "m-3", began)
    journal, store = used.journals["saw-1"], Store("lyon")

    def covered() -> list[tuple[str, str]]:
        moments = (began, began + 90 * MINUTE, used.now)
        return [(cover.who, cover.perhaps) for moment in moments for cover in answer(moment)["covers"]]

    assert covered() == [("Zoé Petit", ""), ("Zoé Petit", "unheard"), ("Zoé Petit", "unheard")]
    store.store([journal.status(), journal.state(state="active", session="s-3")], used.now)
    assert covered() == [("Zoé Petit", "")] * 3
    Gate.objects.filter(name="saw-1").update(seen_at=began + 120 * MINUTE)
    assert covered() == [("Zoé Petit", ""), ("Zoé Petit", ""), ("Zoé Petit", "unheard")]
    shown = text(browse("auditor").get(asked(used.now)))
    assert "Was using it" not in shown
    assert f"The session was open when the gate was last online, {began + 120 * MINUTE:%-d %b %Y, %H:%M};" in shown
    # Another session is at the machine by now: the end of this one is on its way.
    Gate.objects.filter(name="saw-1").update(session="s-4", seen_at=used.now)
    assert covered()[1:] == [("Zoé Petit", "unheard")] * 2


def test_of_a_moment_that_has_not_come_yet_nothing_else_is_said(used, browse):
    used.begin("s-3", "m-3", used.now - 5 * MINUTE)
    shown = text(browse("auditor").get(asked(used.now + timedelta(hours=2))))
    assert "This moment is in the future." in shown
    for word in ("Was using it", "Zoé Petit", "Before and after", "No session on record", "data-print"):
        assert word not in shown


def test_the_clock_of_an_open_session_is_not_said_to_have_been_right_at_its_end(used, browse):
    used.begin("s-3", "m-3", used.now - 5 * MINUTE)
    client = browse("auditor")
    for page in (asked(used.now), "/use/s-3"):
        shown = text(client.get(page))
        assert "was synchronised at the start, and stayed so until this moment" in shown
        assert "at the end" not in shown


def test_a_session_dated_before_its_gates_first_day_may_have_been_at_any_moment_since(used, browse):
    journal, long_ago = used.journals["saw-1"], NOON - timedelta(days=7_000)
    said = {"session": "s-3", "member": "m-3", "badge": "badge-m-3"}
    journal.boottime_ms = (NOON + 90 * MINUTE - BOOTED) // timedelta(milliseconds=1)
    begun = journal.write(
        "session.started", time=long_ago, **said, basis=wire.Basis(kind="grant"), mode="tap", energised_from_ms=0
    )
    ended = journal.write("session.ended", time=long_ago, **said, reason="badge", energised_ms=600_000, running_ms=0)
    Store("lyon").store([begun, ended], used.now)
    assert UsageSession.objects.get(pk="s-3").review == "before-first"
    for at in (NOON - timedelta(days=79), NOON + 95 * MINUTE, used.now - MINUTE, long_ago):
        assert [(cover.who, cover.perhaps) for cover in answer(at)["covers"]] == [("Zoé Petit", "clock")]
    for at in (NOON - timedelta(days=90), used.now + MINUTE):
        assert answer(at)["covers"] == []
    shown = text(browse("auditor").get(asked(NOON + 95 * MINUTE)))
    assert "showed a date before the gate" in shown
    assert "was synchronised at the start and at the end" not in shown


def test_a_session_without_a_date_may_cover_what_it_lies_between(used):
    UsageSession.objects.filter(pk="s-2").update(
        started_at=None, last_at=None, not_before=NOON + 40 * MINUTE, not_after=NOON + 80 * MINUTE
    )
    assert [(cover.who, cover.perhaps) for cover in answer(NOON + 50 * MINUTE)["covers"]] == [
        ("Bjørn Sørensen", "undated")
    ]


@pytest.mark.parametrize(
    ("more", "held", "told"),
    [
        ({}, True, "valid"),
        ({"created_at": NOON + timedelta(days=1)}, False, "not yet on record"),
        ({"revoked_on": NOON.date(), "reason": "x"}, False, "revoked"),
        ({"until": NOON.date() - timedelta(days=1)}, False, "expired"),
        ({"since": NOON.date() + timedelta(days=1)}, False, "not valid"),
        ({"stage": "suspended"}, False, "not valid"),
        ({"revoked_on": NOON.date() + timedelta(days=1), "reason": "an accident"}, True, "an accident"),
    ],
)
def test_a_training_is_told_as_it_was_on_record_then_and_what_became_of_it(used, browse, more, held, told):
    granted(**more)
    (cover,) = answer(NOON + 10 * MINUTE)["covers"]
    assert cover.was_trained is held
    assert told in text(browse("auditor").get(asked(NOON + 10 * MINUTE)))


@pytest.mark.parametrize(
    ("stages", "was_trained"),
    [
        ({"saws": "autonomous", "tour": "autonomous", "fire": "supervised"}, True),
        ({"tour": "autonomous", "fire": "autonomous"}, False),  # only what the training wants first
        ({"saws": "autonomous", "fire": "autonomous"}, False),
        ({"saws": "autonomous", "tour": "autonomous"}, False),
        ({"saws": "suspended", "tour": "autonomous", "fire": "autonomous"}, False),
        ({"saws": "autonomous", "tour": "autonomous", "fire": "suspended"}, False),
        ({"planes": "autonomous"}, True),  # another training of the machine
        ({"planes": "autonomous", "saws": "suspended"}, False),  # a suspension from one shuts the machine
    ],
)
def test_trained_is_who_held_a_training_and_all_that_it_wants_first(used, stages, was_trained):
    fire = Training.objects.create(name="fire")
    tour = Training.objects.create(name="tour", prerequisite=fire)
    planes = Training.objects.create(name="planes")
    saws = Training.objects.create(name="saws", prerequisite=tour)
    for training in (planes, saws):
        training.machines.add(Machine.objects.get(name="bandsaw"))
    for name, stage in stages.items():
        said = {"stage": stage, "since": NOON.date() - timedelta(days=30), "created_at": NOON - timedelta(days=30)}
        Grant.objects.create(member_id="m-1", training=Training.objects.get(name=name), **said)
    (cover,) = answer(NOON + 10 * MINUTE)["covers"]
    assert cover.was_trained is was_trained
    assert {row["grant"].training.name for row in cover.grants} == stages.keys()


def test_a_person_who_was_corrected_since_is_told_with_who_was_recorded(used, browse):
    corrections.correct("s-1", "member", "m-3", author="eve", reason="x")
    shown = text(browse("auditor").get(asked(NOON + 10 * MINUTE)))
    assert "<h2>Zoé Petit</h2>" in shown
    assert "Zoé Müller; a later correction names someone else" in shown


def test_a_lock_is_told_with_who_set_it_and_why(used, browse):
    row = Machine.objects.get(name="bandsaw")
    audit.record("eve", "machine.locked", row, reason="Belt broken")
    set_at, moment = NOON + 90 * MINUTE, NOON + 95 * MINUTE
    Change.objects.update(at=set_at)
    shown = text(browse("auditor").get(asked(moment)))
    assert "“Belt broken”" in shown
    assert f"at {set_at:%H:%M:%S}, by eve" in shown
    audit.record("eve", "machine.unlocked", row)
    Change.objects.filter(verb="machine.unlocked").update(at=set_at + MINUTE)
    assert moment_answer.answer(row, moment)["locks"]["now"] is None
    assert answer(NOON)["locks"]["now"] is None


def test_what_blocked_the_machine_then_is_told_from_the_gates_own_entries(used):
    used.write("saw-1", "machine.blocked", NOON + 100 * MINUTE, cause="estop", level="cut")
    used.write("saw-1", "machine.blocked", NOON + 101 * MINUTE, cause="flag", level="hold")
    used.write("saw-1", "machine.cleared", NOON + 110 * MINUTE, cause="estop")
    causes = {minutes: answer(NOON + minutes * MINUTE)["gates"][0].causes for minutes in (50, 105, 115)}
    assert causes == {
        50: [],
        105: ["A danger was reported", "Emergency stop pressed"],
        115: ["A danger was reported"],
    }


def test_records_that_are_missing_around_the_moment_are_told_and_others_are_not(used, browse):
    journal = Journal.objects.get(name="journal-saw-1")
    used.journals["saw-1"].write("gate.stopping", reason="x", time=NOON + 100 * MINUTE)
    used.write("saw-1", "gate.stopping", NOON + 120 * MINUTE, reason="x")
    Hole.objects.create(journal=journal, first=6, last=6, state=Hole.LOST, found_at=NOON)
    assert answer(NOON + 10 * MINUTE)["gates"][0].holes == []
    assert answer(NOON + 100 * MINUTE)["gates"][0].holes[0].count == 1
    assert "Records are missing" in text(browse("auditor").get(asked(NOON + 100 * MINUTE)))


def test_refusals_near_the_moment_are_told(used):
    used.refuse("b", "m-3", NOON + 10 * MINUTE, "in-use")
    assert [row["who"] for row in answer(NOON + 20 * MINUTE)["refusals"]] == ["Zoé Petit"]
    assert answer(NOON + 40 * MINUTE)["refusals"] == []


def test_a_lost_badge_that_was_refused_near_the_moment_says_who_had_it(used, browse):
    used.refuse("b", None, NOON + 10 * MINUTE, "badge-lost")
    used.refuse("c", None, NOON + 11 * MINUTE, "unknown-badge")
    Badge.objects.create(digest="b", member_id="m-3", since=NOON - timedelta(days=9)).end(Badge.LOST, "desk", NOON)
    page = text(browse("manager").get(asked(NOON + 20 * MINUTE)))
    assert "Lost badge: Badge was reported lost" in page
    assert f"Zoé Petit had this badge until {NOON:%-d %b %Y} (reported lost)" in page
    assert page.count("Unknown badge:") == 1


def test_a_refusal_is_told_of_the_machine_at_which_it_was(used):
    used.refuse("badge-m-3", "m-3", NOON + 10 * MINUTE, "in-use")
    Gate.objects.filter(name="saw-1").update(machine=machine("lathe"))
    used.refuse("badge-m-1", "m-1", NOON + 12 * MINUTE, "in-use")
    here, there = (Machine.objects.get(name=name) for name in ("bandsaw", "lathe"))
    at = NOON + 20 * MINUTE
    assert [row["who"] for row in moment_answer.answer(here, at)["refusals"]] == ["Zoé Petit"]
    assert [row["who"] for row in moment_answer.answer(there, at)["refusals"]] == ["Zoé Müller"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("machine=99&day=2026-01-01&time=12:00", "Select a valid choice"),
        ("machine=1&day=soon&time=12:00", "Enter the day as year-month-day"),
        ("machine=1&day=2026-01-01&time=25:00", "Enter a valid time"),
        ("machine=1&day=1026-01-01&time=12:00", "in the year 1026: did you mean"),
        ("machine=1", "This field is required."),
    ],
)
def test_what_cannot_be_asked_is_said(used, browse, query, told):
    response = browse("auditor").get(f"/use/moment?{query}")
    assert response.status_code == 400
    assert told in text(response)


def test_a_machine_that_nobody_has_used_and_that_has_no_gate_has_its_page(used, browse):
    new = Machine.objects.create(name="new", title="New")
    response = browse("auditor").get(asked(NOON, "new"))
    assert response.status_code == 200
    assert "This machine had no gate at that moment." in text(response)
    assert new.title in text(response)


def test_a_moment_is_asked_for_to_the_second_and_told_so(used, browse):
    client = browse("auditor")
    second = timedelta(seconds=1)
    used.begin("s-3", "m-3", NOON + 90 * MINUTE + 30 * second)
    used.end("s-3", "m-3", NOON + 90 * MINUTE + 50 * second, 20_000)
    for at, who in ((29, "Nobody"), (31, "Zoé Petit"), (51, "No one on record")):
        moment = NOON + 90 * MINUTE + at * second
        shown = text(client.get(f"{asked(moment)}:{at}"))
        assert f"<h2>{who}</h2>" in shown
        assert f"{moment:%H:%M:%S}</p>" in shown
    assert f"{NOON + 90 * MINUTE + 50 * second:%H:%M:%S}" in shown  # the last before
    assert 'type="time" name="time" value="13:30:51" step="1"' in shown


def test_the_page_of_a_session_leads_to_the_second_in_which_it_began(used, browse):
    used.begin("s-3", "m-3", NOON + 90 * MINUTE + timedelta(seconds=30))
    assert "time=13:30:30" in text(browse("auditor").get("/use/s-3"))


def test_the_page_asks_first(used, browse):
    assert "Choose a machine and a moment" in text(browse("auditor").get("/use/moment"))


@pytest.fixture
def in_paris():
    with timezone.override(ZoneInfo("Europe/Paris")):
        yield


@pytest.fixture
def night(used, in_paris):
    """The night in which the clocks went back: one session in each of the hours from 02:00 to 03:00."""
    for name, hour in (("s-1", 0), ("s-2", 1)):
        began = datetime(2025, 10, 26, hour, 10, tzinfo=UTC)
        ended = began + 40 * MINUTE
        UsageSession.objects.filter(pk=name).update(started_at=began, ended_at=ended, last_at=ended)


def test_of_an_hour_that_came_twice_both_moments_can_be_asked(night, browse):
    client = browse("auditor")
    asked = f"/use/moment?machine={machine()}&day=2025-10-26&time=02:30"
    first, second = client.get(asked), client.get(f"{asked}&fold=1")
    assert [cover.who for cover in first.context["covers"]] == ["Zoé Müller"]
    assert [cover.who for cover in second.context["covers"]] == ["Bjørn Sørensen"]
    assert "02:30:00 occurred twice" in text(first)
    assert "at 02:30:00 (UTC+02:00)" in text(first)
    assert "at 02:30:00 (UTC+01:00)" in text(second)
    assert "02:10:00</time> (UTC+01:00)" in text(second)
    (other,) = re.findall(r'href="(\?[^"]*fold=[^"]*)"', first.content.decode())
    again = client.get(f"/use/moment{html.unescape(other)}")
    assert [cover.who for cover in again.context["covers"]] == ["Bjørn Sørensen"]


def test_an_hour_that_came_once_has_no_offset(used, in_paris, browse):
    shown = text(browse("auditor").get(f"/use/moment?machine={machine()}&day=2025-10-26&time=04:30"))
    assert "came twice" not in shown
    assert "UTC" not in shown


def test_a_session_of_the_second_hour_asks_for_the_second_moment(night, browse):
    client = browse("auditor")
    assert "fold=1" in client.get("/use/s-2").content.decode()
    assert "fold=1" not in client.get("/use/s-1").content.decode()
    assert "02:10</time> (UTC+01:00)" in text(client.get("/use/s-2"))


def test_a_time_that_the_clocks_left_out_is_said_to_be_none(used, in_paris, browse):
    answer = browse("auditor").get(f"/use/moment?machine={machine()}&day=2025-03-30&time=02:30")
    assert answer.status_code == 400
    assert "This time did not exist" in text(answer)
    assert "01:30 (UTC+01:00) or 03:30 (UTC+02:00)" in text(answer)
    assert "Nobody" not in text(answer)

"""A member's own pages: my minutes, what I may use, this line is not right, my badge is gone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from fabgate import badge, wire
from fabgate.collector.faces.pages.my import months
from fabgate.collector.ground.models import Badge, Block, Change, Gate, Machine, Member, Review, Training
from fabgate.collector.members.access import roster
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.counter import text
from tests.collector.gates import NOON, Journal

MINUTE_MS = 60_000

pytestmark = pytest.mark.usefixtures("env", "told")


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today is the day on which the journals of the tests were written."""
    from fabgate.collector.faces.pages.my import views

    monkeypatch.setattr(views, "today", NOON.date)


@pytest.fixture
def ada() -> Member:
    return Member.objects.create(id="m-1", name="Ada Lovelace", lang="en")


@pytest.fixture
def mine(browse, account, ada) -> Any:
    """A browser in which Ada is signed in."""
    return browse(account("member", name="ada", member=ada))


def used(machine: str, session: str, minutes: int, *, member: str = "m-1", at: datetime = NOON, **more: Any) -> None:
    """Let somebody have used a machine, as its gate says it."""
    gate = Gate.objects.filter(name=f"{machine}-1").first()
    if gate is None:
        title = machine.title()
        gate = Gate.objects.create(name=f"{machine}-1", machine=Machine.objects.create(name=machine, title=title))
    journal = Journal(gate=gate.name)
    who = {"session": session, "member": member, "badge": "d1"}
    begun = journal.write(
        "session.started", time=at - timedelta(minutes=minutes), **who, basis=wire.Basis(kind="grant"), mode="tap"
    )
    journal.boottime_ms += minutes * MINUTE_MS - 1000  # both clocks go at one pace
    ended = {"reason": "badge", "running_ms": 0, **more}
    end = journal.write("session.ended", time=at, **who, energised_ms=minutes * MINUTE_MS, **ended)
    Store("lyon").store([begun, end], NOON)


def test_a_month_is_summed_by_machine_and_only_what_is_mine_is_shown(mine):
    used("laser", "session-1", 30)
    used("laser", "session-2", 15, at=NOON - timedelta(days=2))
    used("saw", "session-3", 5)
    used("saw", "session-4", 55, member="m-2")
    page = text(mine.get("/my-minutes"))
    assert "0:50:00" in page
    assert "0:45:00" in page
    assert "3 sessions" in page
    assert "session-3" in page
    assert "session-4" not in page


@pytest.mark.parametrize(
    ("days", "said"), [(0, "Member until"), (-1, "Membership ended on"), (-40, "Membership ended on")]
)
def test_a_membership_that_is_over_is_not_said_to_go_on(mine, ada, days, said):
    last = NOON.date() + timedelta(days=days)
    Member.objects.filter(pk=ada.pk).update(valid_until=last)
    assert f"{said} {last.day} {last:%b %Y}<" in text(mine.get("/my-minutes"))


def test_another_month_is_one_click_away(mine):
    used("laser", "session-1", 30)
    used("laser", "session-2", 15, at=NOON - timedelta(days=40))
    page = text(mine.get("/my-minutes"))
    assert 'href="?month=2026-10"' in page
    older = text(mine.get("/my-minutes?month=2026-10"))
    assert "session-2" in older
    assert "session-1" not in older
    assert 'href="?month=2026-11"' in older


def test_all_months_with_sessions_are_listed_with_their_time_and_the_one_that_is_shown_is_marked(mine):
    used("laser", "s-1", 30)
    used("laser", "s-2", 15, at=NOON - timedelta(days=40))
    used("laser", "s-3", 60, at=NOON - timedelta(days=100), member="m-2")
    page = mine.get("/my-minutes?month=2026-10").content.decode()
    listed = re.search(r'<dl class="bars months">(.*?)</dl>', page, re.DOTALL)[1]
    assert re.findall(r"month=([\d-]+)", listed) == ["2026-11", "2026-10"]
    assert re.findall(r'value="(\d+)"', listed) == ["100", "50"]
    assert re.findall(r'number">([\d:]+)<', listed) == ["0:30:00", "0:15:00"]
    assert re.findall(r'month=([\d-]+)" aria-current="true"', listed) == ["2026-10"]


def test_one_month_alone_is_not_listed(mine):
    used("laser", "s-1", 30)
    assert "Month by month" not in text(mine.get("/my-minutes"))


@pytest.mark.parametrize("month", ["2020-01", "soon", "2026-13"])
def test_a_month_that_cannot_be_chosen_is_said(mine, month):
    answer = mine.get(f"/my-minutes?month={month}")
    assert answer.status_code == 400
    assert "last twelve months" in text(answer)


def test_a_session_at_midnight_counts_in_the_month_of_its_end_where_the_site_is(ada, monkeypatch):
    monkeypatch.setattr(settings, "TIME_ZONE", "Europe/Paris")
    from django.utils import timezone

    with timezone.override("Europe/Paris"):
        used("laser", "s-1", 30, at=datetime(2026, 10, 31, 23, 30, tzinfo=UTC))  # 00:30 on 1 November
        year = months.last_months("m-1", NOON.date())
    assert [(month.key, month.counted_ms) for month in year[:2]] == [("2026-11", 30 * MINUTE_MS), ("2026-10", 0)]
    assert len(year) == 12


def test_who_has_no_session_yet_is_told_what_to_do(mine):
    assert "Tap your badge on a machine" in text(mine.get("/my-minutes"))


def test_an_account_without_a_member_is_told_why_it_sees_nothing(browse, account):
    client = browse("desk")
    assert "is not linked to a member" in text(client.get("/my-minutes"))
    assert client.get("/my-minutes/sessions/s-1").status_code == 404
    assert "My minutes" not in text(client.get("/me"))


def test_a_volunteer_who_is_a_member_has_the_tab_too(browse, account, ada):
    assert "My minutes" in text(browse(account("desk", member=ada)).get("/me"))


def test_what_i_may_use_is_said_with_what_is_missing(mine, ada):
    laser = Machine.objects.create(name="laser", title="Laser")
    lathe = Machine.objects.create(name="lathe", title="Lathe")
    Machine.objects.create(name="old", title="Old saw", retired_at=NOON)
    training = Training.objects.create(name="laser", title="Laser cutting")
    training.machines.add(laser)
    Machine.objects.create(name="drill", title="Drill")
    Training.objects.create(name="turning").machines.add(lathe)
    ada.grants.create(training=training, stage="supervised", since="2026-01-01")
    page = text(mine.get("/my-minutes"))
    assert "With a supervisor" in page
    assert "training missing" in page
    assert "needs individual access, which was not given" in page
    assert "Laser cutting" in page
    assert "Old saw" not in page
    Block.objects.create(member=ada, reason="payment-due", actor="maya", at=NOON)
    assert "payment due" in text(mine.get("/my-minutes"))


def test_badges_are_shown_by_their_printed_number_and_never_by_what_a_reader_says(mine, ada):
    Badge.objects.create(spelling="04:A1:B2:C3", digest="d" * 64, number="1042", member=ada)
    page = text(mine.get("/my-minutes"))
    assert "No. 1042" in page
    assert "04:A1:B2:C3" not in page
    assert "d" * 64 not in page


def test_a_lost_badge_opens_nothing_from_that_moment_on(mine, ada, told):
    laser = Machine.objects.create(name="laser")
    gate = Gate.objects.create(name="laser-1", machine=laser)
    ada.machines.add(laser)
    carried = badge.parse("04A1B2C3")
    digest = badge.digest(carried, roster.badge_key(settings.ENVIRONMENT))
    row = Badge.objects.create(spelling=str(carried), digest=digest, number="1042", member=ada)
    roster.rebuild()
    answer = mine.post("/my-minutes/lost", {"badge": row.pk}, follow=True)
    assert answer.redirect_chain == [("/my-minutes", 303)]
    assert "reported lost" in text(answer)
    assert "Not yet applied on the gate" in text(answer)
    row.refresh_from_db()
    assert (row.end_reason, row.ended_by) == ("lost", "ada")
    gate.refresh_from_db()
    found = wire.decode(bytes(gate.roster), wire.Roster)
    assert [one.badges for one in found.members] == [[]]
    assert [(one.badges, one.reasons) for one in found.refusals] == [([digest], ["badge-lost"])]
    assert [message.topic for message in told] == ["fabgate/v1/lyon/laser-1/roster"]
    assert mine.post("/my-minutes/lost", {"badge": row.pk}).status_code == 409


@pytest.mark.parametrize("pk", ["", "x", "999", "9" * 40])
def test_a_badge_that_is_not_there_cannot_be_lost(mine, pk):
    assert mine.post("/my-minutes/lost", {"badge": pk}).status_code == 404


def test_another_ones_badge_cannot_be_declared_lost(mine):
    other = Member.objects.create(id="m-2")
    row = Badge.objects.create(spelling="04:A1:B2:C3", digest="d", member=other)
    assert mine.post("/my-minutes/lost", {"badge": row.pk}).status_code == 404
    row.refresh_from_db()
    assert row.ended_at is None


def test_a_line_that_is_not_right_is_contested_in_ones_own_words(mine):
    used("laser", "s-1", 30)
    answer = mine.post("/my-minutes/sessions/s-1", {"words": "I  left at\nfour."}, follow=True)
    assert answer.redirect_chain == [("/my-minutes/sessions/s-1", 303)]
    review = Review.objects.get()
    assert (review.session_id, review.why, review.note, review.settled_at) == (
        "s-1",
        "contested",
        "I left at four.",
        None,
    )
    assert "I left at four." in text(answer)
    assert "Under review" in text(mine.get("/my-minutes"))
    change = Change.objects.get(verb="review.contested")
    assert (change.actor, change.reason) == ("ada", "I left at four.")
    assert mine.post("/my-minutes/sessions/s-1", {"words": "again"}).status_code == 409


def test_what_was_decided_is_shown_and_can_be_contested_again(mine):
    used("laser", "s-1", 30)
    mine.post("/my-minutes/sessions/s-1", {"words": "No."})
    corrections.accept(Review.objects.get(), author="maya", note="The camera shows you.")
    page = text(mine.get("/my-minutes/sessions/s-1"))
    assert "kept as counted" in page
    assert "The camera shows you." in page
    assert mine.post("/my-minutes/sessions/s-1", {"words": "That was my twin."}).status_code == 303
    assert Review.objects.get().settled_at is None


def test_what_was_corrected_since_it_was_contested_is_said_to_be_so(mine):
    used("laser", "s-1", 30)
    corrections.correct("s-1", "time", "60000", author="maya", reason="The camera.")
    mine.post("/my-minutes/sessions/s-1", {"words": "That is still too much."})
    corrections.accept(Review.objects.get(), author="maya")
    for page in ("/my-minutes", "/my-minutes/sessions/s-1"):
        assert "kept as counted" in text(mine.get(page))
        assert ">corrected<" not in text(mine.get(page))
    mine.post("/my-minutes/sessions/s-1", {"words": "Look again."})
    corrections.correct("s-1", "time", "30000", author="maya", reason="The other camera.")
    for page in ("/my-minutes", "/my-minutes/sessions/s-1"):
        assert "kept as counted" not in text(mine.get(page))
        assert ">corrected<" in text(mine.get(page))


def test_what_is_put_down_as_another_ones_is_said_to_whoever_contested_it(mine, browse, account):
    Member.objects.create(id="m-2", name="Bob")
    used("laser", "s-1", 30)
    mine.post("/my-minutes/sessions/s-1", {"words": "I left at four."})
    corrections.correct("s-1", "member", "m-2", author="maya", reason="The camera shows another one.")
    for page in ("/my-minutes", "/my-minutes/sessions/s-1"):
        shown = text(mine.get(page))
        assert "“The camera shows another one.”" in shown, page
        assert "Bob" not in shown
        assert "0:30:00" not in shown
    assert mine.post("/my-minutes/sessions/s-1", {"words": "mine"}).status_code == 404
    assert "Sessions that are no longer mine" not in text(mine.get("/my-minutes?month=2026-10"))
    bob = browse(account("member", name="bob", member=Member.objects.get(pk="m-2")))
    assert "Sessions that are no longer mine" not in text(bob.get("/my-minutes"))
    corrections.correct("s-1", "member", "m-1", author="maya", reason="No, it was you.")
    assert "Sessions that are no longer mine" not in text(mine.get("/my-minutes"))
    assert "0:30:00" in text(mine.get("/my-minutes/sessions/s-1"))


@pytest.mark.parametrize(("words", "said"), [("", "Describe in a few words"), ("x" * 201, "at most 200 characters")])
def test_words_that_say_nothing_or_too_much_are_refused(mine, words, said):
    used("laser", "s-1", 30)
    answer = mine.post("/my-minutes/sessions/s-1", {"words": words})
    assert answer.status_code == 400
    assert said in text(answer)
    assert not Review.objects.exists()


def test_another_ones_session_is_not_found(mine):
    used("laser", "s-1", 30, member="m-2")
    assert mine.get("/my-minutes/sessions/s-1").status_code == 404
    assert mine.post("/my-minutes/sessions/s-1", {"words": "mine"}).status_code == 404
    assert not Review.objects.exists()


def test_a_session_that_runs_is_shown_and_cannot_be_contested_yet(mine):
    gate = Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="laser", title="Laser"))
    Store("lyon").store([Journal(gate=gate.name).start("s-1")], NOON)
    assert "Laser has been on with your badge" in text(mine.get("/my-minutes"))
    assert mine.post("/my-minutes/sessions/s-1", {"words": "no"}).status_code == 409


def test_what_a_member_contests_is_not_said_to_be_inexact(mine):
    used("laser", "s-1", 30)
    mine.post("/my-minutes/sessions/s-1", {"words": "I left at four."})
    for page in ("/my-minutes", "/my-minutes/sessions/s-1"):
        assert "pproximate" not in text(mine.get(page))
    used("laser", "s-2", 30, uncertainty_ms=90_000)
    assert "pproximate" in text(mine.get("/my-minutes/sessions/s-2"))


def test_an_auditor_who_is_a_member_reads_and_changes_nothing(browse, account, ada):
    used("laser", "s-1", 30)
    client = browse(account("auditor", member=ada))
    assert "Report a problem" not in text(client.get("/my-minutes"))
    assert client.post("/my-minutes/sessions/s-1", {"words": "no"}).status_code == 403


def test_a_session_whose_gate_calls_it_anything_can_be_contested(mine):
    used("laser", "2026/11/12 #3?", 30)
    assert mine.get("/my-minutes").status_code == 200
    assert mine.post("/my-minutes/sessions/2026/11/12%20%233%3F", {"words": "I left at four."}).status_code == 303
    assert Review.objects.get().session_id == "2026/11/12 #3?"


def test_a_line_end_in_what_a_gate_calls_a_session_hides_nobodys_minutes(mine):
    used("laser", "a\nb", 30)
    assert 'href="/my-minutes/sessions/a%0Ab"' in text(mine.get("/my-minutes"))
    assert mine.get("/my-minutes/sessions/a%0Ab").status_code == 200

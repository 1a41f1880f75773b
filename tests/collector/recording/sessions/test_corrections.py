"""Putting sessions right: a new row each time, what counts follows, and nothing that arrives later undoes it."""

from __future__ import annotations

import threading
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.ground.models import (
    Change,
    Correction,
    Group,
    LedgerLine,
    Member,
    Review,
    UsageDay,
    UsageSession,
)
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector.gates import NOON, Journal
from tests.collector.ground.db.together import together
from tests.collector.paying import organisation, paying
from tests.support.patience import HANGS_S


@pytest.fixture
def journal(store) -> Journal:
    """A session of a minute by m-1, whose end is not sure, and two members."""
    Member.objects.create(id="m-1", category="student")
    Member.objects.create(id="acme")
    Member.objects.create(id="m-2", category="staff", payer=paying("acme"))
    journal = Journal()
    store.store([journal.start("s-1"), journal.end("s-1", 60_000, reason="power-loss", uncertainty_ms=61_000)], NOON)
    return journal


def correct(field: str, new: str, reason: str = "asked at the desk") -> Correction:
    return corrections.correct("s-1", field, new, author="eve", reason=reason)


def days() -> list[tuple[date, str, str, int, int]]:
    rows = UsageDay.between(date(2026, 11, 1), date(2026, 11, 30)).order_by("used_by")
    return list(rows.values_list("day", "used_by", "category", "sessions", "counted_ms"))


def test_another_member_is_the_user_from_then_on_everywhere(journal):
    day = date(2026, 11, 24)
    assert days() == [(day, "m-1", "student", 1, 60_000)]
    correct("member", "m-2")
    row = UsageSession.objects.get()
    assert (row.member, row.used_by, row.category, row.payer) == ("m-1", "m-2", "staff", "acme")
    assert days() == [(day, "m-2", "staff", 1, 60_000)]
    told = Correction.objects.get()
    assert (told.field, told.old, told.new, told.author, told.reason) == (
        *("member", "m-1", "m-2"),
        *("eve", "asked at the desk"),
    )
    told = Change.objects.get(verb="session.corrected")
    assert (told.before, told.after) == ({"member": "m-1"}, {"member": "m-2"})


def test_each_correction_is_a_row_and_the_newest_holds(journal):
    correct("time", "30000")
    correct("time", "45000")
    correct("purpose", "training")
    correct("payer", "acme")
    row = UsageSession.objects.get()
    assert (row.counted_ms, row.purpose, row.payer, row.energised_ms) == (45_000, "training", "acme", 60_000)
    assert list(Correction.objects.order_by("id").values_list("old", "new")) == [
        ("60000", "30000"),
        ("30000", "45000"),
        ("own", "training"),
        ("m-1", "acme"),
    ]
    assert days()[0][-1] == 45_000


def test_the_payer_of_a_session_may_be_an_organisation_even_one_that_ended(journal):
    university = organisation(ended_on=date(2026, 1, 1))
    correct("payer", university.pk)
    assert UsageSession.objects.get().payer == "payer:1"
    assert LedgerLine.objects.latest("pk").payer == "payer:1"


def test_a_payer_that_was_put_right_stays_when_the_member_is(journal):
    correct("payer", "acme")
    correct("member", "m-2")
    assert UsageSession.objects.get().payer == "acme"


def test_what_arrives_later_does_not_undo_it(journal, store):
    correct("member", "m-2")
    correct("time", "30000")
    store.store([journal.end("s-1", 90_000)], NOON)
    row = UsageSession.objects.get()
    assert (row.energised_ms, row.counted_ms, row.member, row.used_by) == (90_000, 30_000, "m-1", "m-2")
    assert days() == [(date(2026, 11, 24), "m-2", "staff", 1, 30_000)]


def test_a_review_is_settled_by_a_correction_or_accepted_once(journal, store):
    review = Review.waiting().get()
    corrections.accept(review, author="eve", note="the power was out for a minute")
    assert (review.settled_by, review.decision, review.note) == ("eve", "accepted", "the power was out for a minute")
    with pytest.raises(UsageError, match="already settled by eve"):
        corrections.accept(review, author="bob")
    store.store([journal.start("s-2"), journal.end("s-2", 1, uncertainty_ms=61_000)], NOON)
    corrections.correct("s-2", "time", "2", author="bob", reason="seen on the camera")
    settled = Review.objects.get(session="s-2")
    assert (settled.settled_by, settled.decision) == ("bob", "corrected")
    assert not Review.waiting().exists()


def test_what_a_person_settled_is_not_opened_again_by_the_same_doubt(journal, store):
    corrections.accept(Review.waiting().get(), author="eve")
    store.store([journal.end("s-1", 60_500, reason="power-loss", uncertainty_ms=61_000)], NOON)
    assert not Review.waiting().exists()


def lines(session: str = "s-1") -> list[tuple[str, str, str, str]]:
    rows = LedgerLine.objects.filter(session=session).order_by("pk")
    return list(rows.values_list("kind", "review", "author", "why"))


def waits(session: str = "s-1") -> str | None:
    """What the session says that it waits for: the same as the queue, and as its newest line for whoever bills."""
    review = UsageSession.objects.get(pk=session).review
    assert review == next(iter(Review.waiting().filter(session=session).values_list("why", flat=True)), None)
    assert (review or "") == lines(session)[-1][1]
    day = UsageDay.objects.get(used_by=UsageSession.objects.get(pk=session).used_by, sessions__gt=0)
    assert (
        day.uncertain == UsageSession.objects.filter(uncertain=True, used_by=day.used_by, reason__isnull=False).count()
    )
    return review


@pytest.mark.parametrize("settle", [corrections.accept, corrections.favour])
def test_an_end_that_was_settled_waits_no_more_for_whoever_bills_either(journal, settle):
    assert waits() == "uncertain"
    settle(Review.objects.get(), author="eve", note="a storm")
    assert waits() is None
    assert lines() == [("ended", "uncertain", "", ""), ("reviewed", "", "eve", "a storm")]
    assert UsageSession.objects.get().uncertain  # the minutes are still not exactly known


def test_what_is_contested_waits_for_whoever_bills_until_it_is_settled(journal, store):
    store.store([journal.start("s-2", "m-2"), journal.end("s-2", 5_000, "m-2")], NOON)
    assert waits("s-2") is None
    corrections.contest(UsageSession.objects.get(pk="s-2"), "that was my twin", author="bob")
    assert waits("s-2") == "contested"
    corrections.accept(Review.objects.get(session="s-2"), author="eve")
    assert waits("s-2") is None
    assert not UsageSession.objects.get(pk="s-2").uncertain
    assert lines("s-2") == [
        ("ended", "", "", ""),
        ("reviewed", "contested", "bob", "that was my twin"),
        ("reviewed", "", "eve", ""),
    ]


def test_a_correction_settles_it_in_the_same_line(journal):
    correct("time", "30000")
    assert waits() is None
    assert lines() == [("ended", "uncertain", "", ""), ("corrected", "", "eve", "asked at the desk")]


def test_what_was_settled_stays_so_when_entries_come_that_leave_the_same_doubt(journal, store):
    corrections.accept(Review.objects.get(), author="eve")
    store.store([journal.end("s-1", 60_500, reason="power-loss", uncertainty_ms=61_000)], NOON)
    assert waits() is None


def test_another_doubt_waits_again_and_later_entries_answer_it(journal, store):
    corrections.accept(Review.objects.get(), author="eve", note="a storm")
    later = NOON + timedelta(days=3)
    store.store([journal.progress("s-1", 500_000)], later)
    assert waits() == "counter-above-end"
    opened = Review.objects.get()
    assert (opened.note, opened.opened_at) == ("", later)  # what was said of the other one stays in the log
    store.store([journal.end("s-1", 600_000)], NOON)
    assert waits() is None
    assert Review.objects.get().decision == "resolved"
    assert lines()[-1] == ("changed", "", "", "")


def test_no_entry_answers_what_a_member_contests(journal, store):
    corrections.contest(UsageSession.objects.get(), "that was my twin", author="ada")
    store.store([journal.progress("s-1", 500_000)], NOON)
    assert waits() == "contested"
    store.store([journal.end("s-1", 600_000)], NOON)
    assert waits() == "contested"
    corrections.accept(Review.objects.get(), author="eve")
    assert waits() is None


def test_a_group_may_be_who_used_it(journal):
    group = Group.objects.create(name="5b", kind="class")
    correct("member", group.roster_id)
    assert UsageSession.objects.get().used_by == group.roster_id


@pytest.mark.parametrize(
    ("field", "new", "reason", "told"),
    [
        ("time", "-1", "x", "wanted a whole number of milliseconds"),
        ("time", "1.5", "x", "wanted a whole number of milliseconds"),
        ("time", "9" * 30, "x", "wanted a whole number of milliseconds"),
        ("time", "٣", "x", "wanted a whole number of milliseconds"),
        ("member", "nobody", "x", "found no member 'nobody'"),
        ("member", "m\0", "x", "found no member"),
        ("payer", "group:9", "x", "found no payer 'group:9', wanted the id of a member, a group or an organisation"),
        ("payer", "payer:9", "x", "found no payer"),
        ("payer", "payer:\0", "x", "found no payer"),
        ("member", "payer:1", "x", "found no member"),
        ("purpose", "fun", "x", "wanted own, training, maintenance, group"),
        ("gate", "saw-1", "x", "wanted member, payer, purpose, time"),
        ("time", "1", "  ", "wanted 1 to 200 that say why"),
        ("time", "1", "x" * 201, "wanted 1 to 200 that say why"),
        ("time", "60000", "x", "is already '60000'"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(journal, field, new, reason, told):
    with pytest.raises(UsageError, match=told):
        correct(field, new, reason)
    assert not Correction.objects.exists()
    assert UsageSession.objects.get().corrected == ""


def test_only_what_has_ended_is_put_right(journal, store):
    store.store([journal.start("s-2")], NOON)
    for session, told in (("s-2", "has not ended yet"), ("s-3", "found no session")):
        with pytest.raises(UsageError, match=told):
            corrections.correct(session, "time", "1", author="eve", reason="x")


#: What a person may do about a session that waits.
WAYS = [
    *(corrections.accept, corrections.favour, lambda review, author: correct("time", "0")),
    lambda review, author: corrections.contest(review.session, "no", author=author),
]


@pytest.mark.parametrize("settle", WAYS)
def test_a_session_is_locked_before_its_review_whoever_settles_it(journal, settle):
    review = Review.objects.select_related("session").get()
    with CaptureQueriesContext(connection) as asked:
        settle(review, author="eve")
    tables = ("collector_usagesession", "collector_review")
    read = [name for query in asked for name in tables if f"FROM {name}" in query["sql"].replace('"', "")]
    assert read[:2] == ["collector_usagesession", "collector_review"]


@pytest.mark.postgresql
@pytest.mark.parametrize("act", WAYS)
def test_what_is_put_right_and_what_arrives_of_the_same_person_do_not_wait_for_each_other(store, act):
    journal = Journal()
    store.store([journal.start("s-1"), journal.progress("s-1", 90_000), journal.end("s-1", 60_000)], NOON)
    review = Review.objects.select_related("session").get()
    more = [journal.start("s-2"), journal.end("s-2", 5_000)]
    # The desk asks for its turn to tell of it first, when ingest has taken all that it takes before.
    arrived, asked = threading.Event(), threading.Event()

    def desk(execute, query, *rest):
        if "pg_advisory" in query:
            arrived.wait(HANGS_S)
        done = execute(query, *rest)
        if "pg_advisory" in query:
            asked.set()
        return done

    def ingest(execute, query, *rest):
        if "pg_advisory" in query:
            arrived.set()
            asked.wait(HANGS_S)
        return execute(query, *rest)

    def run(wrapper, work) -> None:
        with connection.execute_wrapper(wrapper):
            work()

    works = (lambda: run(desk, lambda: act(review, author="eve")), lambda: run(ingest, lambda: store.store(more, NOON)))
    assert together(*works) == []
    assert [(row.sessions, row.used_by) for row in UsageDay.objects.all()] == [(2, "m-1")]

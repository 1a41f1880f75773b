"""Is each altered charge of an open month named, and no other, whatever happened before and however far charges are?"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

from fabgate.collector.ground.models import (
    BillingProgress,
    Charge,
    LedgerLine,
    Member,
    TariffRule,
    UsageSession,
)
from fabgate.collector.money.billing import closing
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.processes.verify.findings import LATER, Report
from fabgate.collector.processes.verify.money import charges
from fabgate.collector.recording.sessions import corrections
from tests.collector import postgresql
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import LATER as MUCH_LATER
from tests.collector.money.billing.charges.life import Life
from tests.collector.processes.verify.histories import texts
from tests.collector.processes.verify.tampering import other, put, tamper

pytestmark = pytest.mark.usefixtures("database")
LIVES = 60 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 2
#: The columns of a charge, but for its id.
COLUMNS = [name.replace("terms", "terms_id") for name in Record._fields if name != "id"]


def check() -> Report:
    report = Report()
    charges.check(report, lambda _count: None)
    return report


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_life_gives_no_finding_also_while_charges_are_behind(seed, monkeypatch):
    life = Life(seed)
    monkeypatch.setattr(life, "check", lambda: None)
    monkeypatch.setattr(charges, "_SESSIONS", 3)
    behind = 0
    acts = (
        [life.use] * 6 + [life.correct] * 4 + [life.contest, life.settle, life.waive, life.plan, life.line, life.close]
    )
    for _ in range(40):
        life.chance.choice([*acts, *[refresh.refresh_all] * 6])()
        report = check()
        assert texts(report) == []
        behind += bool(report.notes)
    refresh.refresh_all()
    report = check()
    assert (texts(report), report.notes) == ([], [])
    assert behind


@pytest.fixture
def books() -> Used:
    """A closed month; then a correction of it, a session of it that comes late, and a session of the open month."""
    shop = Used()
    billing.start()
    billing.plan("student", "m-1", free_minutes=10)
    billing.rule("price=0.10 daily_cap=9")
    for number in range(3):
        shop.session(f"s-{number}", f"m-{number % 2 + 1}", NOON + timedelta(hours=number), 20 + number)
    closing.close(FIRST, MUCH_LATER, actor="eve", reason="a test")
    corrections.correct("s-0", "time", "300000", author="eve", reason="a test")
    shop.session("s-late", "m-1", NOON + timedelta(hours=9), 30, "lathe-1")
    # In this month, also if it began a moment ago.
    since = max(shop.now - timedelta(hours=2), shop.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    half = (shop.now - since) / 2
    for session, at in (("s-now", since), ("s-then", since + half)):
        shop.session(session, "m-2", at, min(15, half // timedelta(minutes=1)), "lathe-1")
    refresh.refresh_all()
    return shop


def open_charges() -> dict[str, str]:
    """Return the ids of a charge of each kind in the open months, by what it is."""
    rows = Charge.objects.filter(month__gt=FIRST)
    return {
        "reversal": rows.exclude(reverses="").get().pk,
        "corrected": rows.get(session="s-0", reverses="").pk,
        "late": rows.get(session="s-late").pk,
        "of its month": rows.get(session="s-now").pk,
    }


def test_untouched_charges_give_no_finding(books):
    report = check()
    assert (texts(report), report.notes, report.compared["charge"]) == ([], [], 5)


#: On PostgreSQL some columns show that values of each kind are read right.
@pytest.mark.parametrize("column", COLUMNS[::5] if postgresql.SERVER else COLUMNS)
def test_each_value_of_each_kind_of_charge_is_compared(books, column):
    tried = 0
    for pk in open_charges().values():
        before = Charge.objects.filter(pk=pk).values_list(column, flat=True).get()
        if (after := other(before)) is None:
            continue
        put("charge", column, pk, after)
        named = [one for one in check().findings if one.row == pk]
        assert [one for one in named if one.column == column or not one.column], (pk, column, texts(check()))
        put("charge", column, pk, before)
        tried += 1
    assert tried
    assert texts(check()) == []


def test_an_empty_value_that_was_filled_is_named(books):
    pk = open_charges()["of its month"]
    for column, value in (("reverses", open_charges()["late"]), ("plan", "student"), ("known", 7)):
        before = Charge.objects.filter(pk=pk).values_list(column, flat=True).get()
        put("charge", column, pk, value)
        assert {(one.row, one.column) for one in check().findings} == {(pk, column)}
        put("charge", column, pk, before)


@pytest.mark.parametrize("kind", ["reversal", "corrected", "late", "of its month"])
def test_a_deleted_and_a_repeated_charge_is_named(books, kind):
    pk = open_charges()[kind]
    row = Charge.objects.get(pk=pk)
    Charge.objects.filter(pk=pk).delete()
    assert pk in [one.row for one in check().findings if one.problem == "missing"]
    row.save(force_insert=True)
    row.pk = "0e7e0b5c-0000-5000-8000-000000000000"
    row.reverses = "x" if row.reverses else ""  # the database refuses two reversals of one charge
    row.save(force_insert=True)
    assert [(one.row, one.problem) for one in check().findings] == [(row.pk, "added")]


def test_a_charge_with_another_id_is_named(books):
    pk = open_charges()["of its month"]
    tamper("UPDATE collector_charge SET id = ? WHERE id = ?", ["0e7e0b5c-0000-5000-8000-000000000000", pk])
    [finding] = check().findings
    assert (finding.column, finding.wanted) == ("id", pk)


def test_what_charges_do_not_follow_yet_is_no_finding_and_the_rest_is_compared(books):
    assert check().notes == []
    corrections.correct("s-now", "payer", "m-3", author="eve", reason="a test")
    report = check()
    assert (texts(report), [note["note"] for note in report.notes]) == ([], [LATER])
    late = open_charges()["late"]
    Charge.objects.filter(pk=late).update(amount_minor=1)
    assert [(one.row, one.column) for one in check().findings] == [(late, "amount_minor")]
    Member.objects.update(category="")  # not a part of what charges depend on
    TariffRule.objects.update(vat_code="X")  # all are made again by other rules
    report = check()
    assert (texts(report), [note["note"] for note in report.notes]) == ([], [LATER])


def test_a_progress_that_skips_sessions_leaves_their_charges_missing(books):
    books.session("s-more", "m-4", books.now - timedelta(minutes=30), 5)
    last = LedgerLine.objects.order_by("-pk").values_list("pk", flat=True)[0]
    BillingProgress.objects.update(position=last)
    [finding] = check().findings
    assert finding.problem == "missing"
    assert "session s-more" in finding.text


def test_a_charge_without_billing_or_without_a_session_is_named(books):
    UsageSession.objects.filter(pk="s-now").update(reason=None)
    [finding] = [one for one in check().findings if one.problem == "added"]
    assert finding.row == open_charges()["of its month"]


def test_memory_does_not_grow_with_the_payers(books, monkeypatch):
    """A batch has few payers, unless one has many sessions."""
    monkeypatch.setattr(charges, "_SESSIONS", 2)
    ended: Any = UsageSession.ended_between(NOON - timedelta(days=1), books.now)
    assert list(charges._batches(ended)) == [["m-1"], ["m-2"]]

"""Are charges always what the sessions say, whatever happens in which order, and does a closed month never change?"""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from fabgate.collector.ground.models import (
    BillingProgress,
    Charge,
    ClosedMonth,
    Machine,
    ManualLine,
    Member,
    Plan,
    Review,
    TariffRule,
    UsageSession,
)
from fabgate.collector.money.billing import closing, member_plans, rule_store
from fabgate.collector.money.billing.charges import decisions, record, refresh
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from fabgate.pricing.tariffs import Tariff
from tests.collector import postgresql
from tests.collector.faces.pages.used import NOON
from tests.collector.money.billing.booked import (
    FIRST,
    LATER,
    MONTHS,
    altered,
    amounts,
    billed,
    close,
    session,
    unlike_from_scratch,
)
from tests.collector.money.billing.charges.life import Life

pytestmark = pytest.mark.usefixtures("database")

LIVES = 80 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 3


# --- a model ----------------------------------------------------------------------------------------------------------


@pytest.mark.chance
@pytest.mark.parametrize("seed", range(LIVES))
def test_whatever_happens_each_session_is_charged_once_and_closed_months_stay(seed):
    life = Life(seed)
    for number in range(40):
        if number == 15 and not life.closed:
            life.close()
        life.step()
    assert life.closed
    assert Charge.objects.exclude(reverses="").exists() or Charge.objects.exclude(known=0).exists()


# --- one by one -------------------------------------------------------------------------------------------------------


def test_a_session_is_charged_and_charged_again_when_it_changes(shop):
    billed()
    session(shop, "s-1", MONTHS[0], 10)
    refresh.refresh_all()
    assert amounts() == [("s-1", "billed", 100)]
    corrections.correct("s-1", "time", "300000", author="eve", reason="a test")
    refresh.refresh_all()
    assert amounts() == [("s-1", "billed", 50)]


def test_the_same_facts_have_the_same_id_and_other_money_another_one(shop):
    billed()
    session(shop, "s-1", MONTHS[0], 10)
    refresh.refresh_all()
    first = Charge.objects.get().pk
    corrections.correct("s-1", "time", "300000", author="eve", reason="a test")
    refresh.refresh_all()
    assert Charge.objects.get().pk != first
    corrections.correct("s-1", "time", "600000", author="eve", reason="a test")
    refresh.refresh_all()
    assert Charge.objects.get().pk == first


def test_ids_are_uuids_of_their_values():
    texts = ["Zoé", "plain", "😀", *map(chr, range(0x80))]  # each has the spelling of Python's json
    for number, name in enumerate(texts):
        values = ("usage", number, None, -number, True, name)
        text = json.dumps(values, separators=(",", ":"))
        assert record.usage_id(values[1:]) == str(uuid.uuid5(record._NAMESPACE, text))


def test_a_new_rule_changes_an_open_month_at_once(shop):
    billed()
    session(shop, "s-1", MONTHS[0], 10)
    refresh.refresh_all()
    machine = UsageSession.objects.get().machine
    dearer = Typed(Tariff(Decimal("0.20")), frozenset({"own"}), "")
    added = rule_store.unsaved((machine, "", None), FIRST, dearer)
    rule_store.add(added, "eve")
    refresh.refresh_all()
    assert amounts() == [("s-1", "billed", 200)]
    rule_store.remove(added.pk, "eve")
    refresh.refresh_all()
    assert amounts() == [("s-1", "billed", 100)]


def test_no_rule_begins_or_is_removed_in_a_closed_month_and_no_plan_changes_there(shop):
    billed()
    close(MONTHS[0])
    dearer = Typed(Tariff(Decimal("0.20")), frozenset({"own"}), "")
    with pytest.raises(UsageError, match=f"the months before {MONTHS[1]} are closed"):
        rule_store.add(rule_store.unsaved((None, "", None), MONTHS[1] - timedelta(days=1), dearer), "eve")
    rule_store.add(rule_store.unsaved((None, "", None), MONTHS[1], dearer), "eve")
    with pytest.raises(UsageError, match=f"the months before {MONTHS[1]} are closed"):
        rule_store.remove(TariffRule.objects.get(valid_from=FIRST).pk, "eve")
    with pytest.raises(UsageError, match=f"wanted a day from {MONTHS[1]}"):
        member_plans.check_day(MONTHS[1] - timedelta(days=1), NOON.date())


def test_what_changes_after_closing_is_reversed_and_charged_in_the_open_month(shop):
    billed()
    session(shop, "s-1", MONTHS[0], 10)
    close(MONTHS[0])
    corrections.correct("s-1", "payer", "m-2", author="eve", reason="a test")
    refresh.refresh_all()
    assert amounts(month=MONTHS[0]) == [("s-1", "billed", 100)]
    rows = Charge.objects.filter(month=MONTHS[1]).order_by("amount_minor")
    assert [(row.payer, row.of_month, row.amount_minor) for row in rows] == [
        ("m-1", MONTHS[0], -100),
        ("m-2", MONTHS[0], 100),
    ]
    corrections.correct("s-1", "payer", "m-1", author="eve", reason="as it was")
    refresh.refresh_all()
    assert amounts(month=MONTHS[1]) == []


def test_a_late_session_gets_the_free_minutes_that_were_left_and_moves_no_other_charge(shop):
    billed()
    member_plans.set_plan(Member.objects.get(pk="m-1"), "student", FIRST, actor="eve")
    session(shop, "s-2", MONTHS[0] + timedelta(days=20), 20)
    close(MONTHS[0])
    session(shop, "s-1", MONTHS[0] + timedelta(days=19), 20, gate="lathe-1")
    refresh.refresh_all()
    assert amounts() == [("s-2", "free", 0), ("s-1", "billed", 100)]


def test_a_reversed_session_gives_its_free_minutes_back_to_its_new_charge(shop):
    billed()
    member_plans.set_plan(Member.objects.get(pk="m-1"), "student", FIRST, actor="eve")
    session(shop, "s-1", MONTHS[0] + timedelta(days=20), 40)
    close(MONTHS[0])
    corrections.correct("s-1", "time", str(35 * 60_000), author="eve", reason="a test")
    refresh.refresh_all()
    assert amounts() == [("s-1", "billed", 100), ("s-1", "reversal", -100), ("s-1", "billed", 50)]


def test_a_late_session_has_the_plans_and_categories_of_its_own_month(shop):
    billed()
    plan = Plan.objects.get(name="student")
    member_plans.set_plan(Member.objects.get(pk="m-1"), "student", FIRST, actor="eve")
    close(MONTHS[0])
    plan.free_minutes = 0
    plan.save()
    session(shop, "s-1", MONTHS[0] + timedelta(days=19), 20)
    session(shop, "s-2", MONTHS[1] + timedelta(days=2), 20, gate="lathe-1")
    refresh.refresh_all()
    assert amounts() == [("s-1", "free", 0), ("s-2", "billed", 200)]


def test_a_waived_session_costs_nothing_before_and_after_closing(shop):
    billed()
    for number in (1, 2):
        session(shop, f"s-{number}", MONTHS[0] + timedelta(days=19 + number), 10)
    decisions.waive("s-1", author="eve", reason="the machine was faulty")
    assert amounts() == [("s-1", "waived", 0), ("s-2", "billed", 100)]  # all that their payer is behind
    close(MONTHS[0])
    decisions.waive("s-2", author="eve", reason="the machine was faulty")
    assert amounts(month=MONTHS[1]) == [("s-2", "reversal", -100), ("s-2", "waived", 0)]
    decisions.withdraw("s-2", author="eve", reason="a mistake")
    assert amounts(month=MONTHS[1]) == []
    with pytest.raises(UsageError, match="the session has already been waived, by eve: the machine was faulty"):
        decisions.waive("s-1", author="eve", reason="again")
    with pytest.raises(UsageError, match="'s-2' is not waived"):
        decisions.withdraw("s-2", author="eve", reason="again")


@pytest.mark.parametrize("why", ["waived", "in review", "not billable"])
@pytest.mark.parametrize("change", ["a price", "a category"])
def test_a_charge_without_a_price_names_no_rule_whatever_applies_later(shop, why, change):
    billed()
    saw, dearer = Machine.objects.get(name="bandsaw"), Typed(Tariff(Decimal("0.20")), frozenset({"own"}), "S20")
    rule_store.add(rule_store.unsaved((None, "metal", None), FIRST, dearer), "eve")
    session(shop, "s-1", MONTHS[0], 10)
    if why == "waived":
        decisions.waive("s-1", author="eve", reason="the machine was faulty")
    elif why == "in review":
        corrections.contest(UsageSession.objects.get(), "not me", author="zoe")
    else:
        corrections.correct("s-1", "purpose", "training", author="eve", reason="a course")
    refresh.refresh_all()
    if change == "a price":
        rule_store.add(rule_store.unsaved((saw, "", None), FIRST, dearer), "eve")
    else:
        saw.category = "metal"
        saw.save()
        BillingProgress.objects.update(pulse=-1)
    refresh.refresh_all()
    assert unlike_from_scratch() == []
    assert Charge.objects.get().rule is None


def test_what_ended_before_billing_began_is_never_charged(shop):
    billed()
    session(shop, "s-1", FIRST - timedelta(days=1), 10)
    refresh.refresh_all()
    assert amounts() == []


def test_before_billing_is_started_nothing_is_charged(shop):
    session(shop, "s-1", MONTHS[0], 10)
    refresh.refresh_all()
    assert not BillingProgress.objects.exists()


def test_all_lines_of_the_ledger_are_followed_in_small_transactions(shop, monkeypatch):
    billed()
    refresh.refresh_all()
    for number in range(5):
        session(shop, f"s-{number}", MONTHS[0] + timedelta(days=number), 10)
    monkeypatch.setattr(refresh, "AT_ONCE", 2)
    assert refresh.refresh()
    assert len(amounts()) == 2
    refresh.refresh_all()
    assert len(amounts()) == 5


# --- closing ----------------------------------------------------------------------------------------------------------


def test_months_are_closed_one_after_the_other_once_they_are_over(shop):
    billed()
    with pytest.raises(UsageError, match=f"wanted {MONTHS[0]:%Y-%m}, because months are closed one after the other"):
        close(MONTHS[1])
    with pytest.raises(UsageError, match="is not over yet"):
        closing.close(MONTHS[0], datetime(FIRST.year, FIRST.month, 20, tzinfo=UTC), actor="eve")
    assert not ClosedMonth.objects.exists()


def test_a_month_with_something_open_is_closed_only_with_a_reason(shop):
    billed()
    session(shop, "s-1", MONTHS[0], 10, reason="power-loss", uncertainty_ms=90_000)
    with pytest.raises(
        UsageError, match=r"1 session waits for a review\n(.+\n)?to close the month anyway, give a reason"
    ):
        closing.close(MONTHS[0], LATER, actor="eve")
    assert closing.close(MONTHS[0], LATER, actor="eve", reason="Books are due").reason == "Books are due"
    assert amounts() == [("s-1", "in-review", 0)]
    corrections.accept(Review.objects.get(), author="eve")
    refresh.refresh_all()
    assert amounts(month=MONTHS[1]) == [("s-1", "reversal", 0), ("s-1", "billed", 100)]


def test_a_line_is_charged_in_the_month_of_its_day_and_stays_in_a_closed_one(shop):
    billed()
    line = decisions.add_line("m-1", "Plywood 9 mm", 1_250, day=FIRST, author="eve")
    other = decisions.add_line("m-1", "Plywood 9 mm", 1_250, day=MONTHS[1], author="eve")
    assert other.month == MONTHS[1]
    decisions.remove_line(other.pk, author="eve", reason="a mistake")
    closed = close(MONTHS[0])
    assert (line.month, closed.lines, closed.amount_minor) == (MONTHS[0], 1, 1_250)
    with pytest.raises(UsageError, match=r"is closed; to reverse this line, add another one of -12\.50 EUR"):
        decisions.remove_line(line.pk, author="eve", reason="a mistake")
    later = decisions.add_line("m-1", "Plywood 9 mm, taken back", -1_250, day=FIRST, author="eve")
    assert later.month == MONTHS[1]
    decisions.remove_line(later.pk, author="eve", reason="it was right")
    assert [row.pk for row in ManualLine.objects.all()] == [line.pk]


@pytest.mark.parametrize("day", [date(1999, 12, 31), datetime.now(UTC).date() + timedelta(days=2)])
def test_a_line_of_a_day_to_come_or_long_ago_is_refused(shop, day):
    billed()
    with pytest.raises(UsageError, match=f"day: found {day}, wanted a day from 2000-01-01"):
        decisions.add_line("m-1", "Plywood", 500, day=day, author="eve")


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (("m-9", "Plywood", 100), "payer: found 'm-9'"),
        (("m-1", " ", 100), "text: found 0 characters"),
        (("m-1", "x" * 201, 100), "text: found 201 characters"),
        (("m-1", "Plywood", 0), "amount: found 0"),
        (("m-1", "Plywood", 10_000_001), "amount: found 100000.01 EUR"),
    ],
)
def test_a_wrong_line_is_refused(shop, values, wrong):
    billed()
    with pytest.raises(UsageError, match=wrong):
        decisions.add_line(*values, day=FIRST, author="eve")
    assert not ManualLine.objects.exists()


ALTERED = {
    "an amount": lambda: Charge.objects.filter(session="s-1").update(amount_minor=1),
    "a payer": lambda: Charge.objects.filter(session="s-1").update(payer="m-2"),
    "a day": lambda: Charge.objects.filter(session="s-1").update(ended_at=NOON),
    "a charge that is gone": lambda: Charge.objects.filter(session="s-1").delete(),
    "a charge of another month": lambda: Charge.objects.filter(session="s-1").update(month=MONTHS[1]),
    "a line": lambda: ManualLine.objects.update(text="Gold"),
    "the day of a line": lambda: ManualLine.objects.update(day=NOON.date()),
    "a line that is gone": lambda: ManualLine.objects.all().delete(),
    "the terms": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(terms={}),
    "the sum": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(amount_minor=0),
    "who closed it": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(closed_by="kim"),
    "when it was closed": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(closed_at=NOON),
    "why it was closed": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(reason="another one"),
    "what statements show": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(printed={}),
    "the digests of its archive": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(archive={}),
    "the digest": lambda: ClosedMonth.objects.filter(month=MONTHS[0]).update(sha256="0" * 64),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_is_altered_in_a_closed_month_is_named(shop, what):
    billed()
    session(shop, "s-1", MONTHS[0], 10)
    decisions.add_line("m-1", "Plywood", 500, day=FIRST, author="eve")
    close(MONTHS[0])
    close(MONTHS[1])
    assert altered() == [[], []]
    ALTERED[what]()
    (first, second) = altered()
    assert first
    assert bool(second) == (what in {"the digest", "a charge of another month"})


@pytest.mark.parametrize("gone", MONTHS)
def test_a_month_whose_row_was_deleted_is_named_also_the_last_one(shop, gone):
    billed()
    for first in MONTHS:
        close(first)
    ClosedMonth.objects.filter(month=gone).delete()
    assert [bool(wrong) for wrong in altered()] == [first == gone for first in MONTHS]


def test_a_month_that_was_sealed_again_differs_from_the_audit_log(shop):
    """Its SHA-256 has no key, so somebody who can write the database can compute it."""
    billed()
    session(shop, "s-1", MONTHS[0], 10)
    closed = close(MONTHS[0])
    Charge.objects.update(amount_minor=1)
    closed.amount_minor = 1
    closed.sha256 = closing.sha256_of(closed, "0" * 64)
    closed.save()
    ((statement, wrong),) = altered()
    assert statement.startswith("the statement of m-1 ")
    assert wrong.startswith("the SHA-256 is not the one in the audit log")


def test_a_month_that_was_not_closed_is_named(shop):
    billed()
    closed = ClosedMonth(month=MONTHS[0], closed_at=NOON, terms={}, charges=0, lines=0, amount_minor=0)
    closed.sha256 = closing.sha256_of(closed, "0" * 64)
    closed.save()
    assert altered() == [["the audit log has no closing of this month"]]

"""Is a balance always what was paid in less what was charged, on every day, and is no cent lost or counted twice?"""

from __future__ import annotations

import os
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction

from fabgate.collector.ground.models import (
    BillingTerms,
    Change,
    Charge,
    Member,
    Payer,
    Plan,
    PrepaidChange,
    PrepaidEntry,
)
from fabgate.collector.money.billing import closing, member_plans
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import balances, daily, ledger, modes, standing, words
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.statements import read
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector import postgresql
from tests.collector.money.billing.booked import FIRST, LATER, MONTHS, altered, close, session
from tests.collector.money.billing.prepaid.life import CASH, NOW, PrepaidLife, credit, findings

pytestmark = pytest.mark.usefixtures("database")

LIVES = 50 if os.environ.get("FABGATE_SOAK") else 1 if postgresql.SERVER else 2


# --- a model ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payer", ["m-1", modes.EVERYBODY])
def test_nobody_prepays_prices_without_vat(prepaid_shop, payer):
    for includes_vat in (None, True):
        BillingTerms.objects.update(includes_vat=includes_vat)
        for prepays in (True, False):
            modes.set_mode(payer, FIRST, prepays=prepays, actor="eve")
            assert modes.Modes.now().prepays(payer or "m-2", FIRST) is prepays
    BillingTerms.objects.update(includes_vat=False)
    with pytest.raises(UsageError, match="prices exclude VAT here, but credit is paid in with VAT"):
        modes.set_mode(payer, FIRST, prepays=True, actor="eve")
    assert not modes.Modes.now().prepays(payer or "m-2", FIRST)
    modes.set_mode(payer, MONTHS[1], prepays=False, actor="eve")


def test_a_charge_that_moves_to_a_payer_who_prepays_is_due_by_statement_everywhere(prepaid_shop):
    """The month of the first payer was not paid from credit: statement, books and programs say so of the second one too."""
    session(prepaid_shop, "s-1", FIRST, 10, "m-2")
    close(FIRST)
    credit(500, now=datetime(MONTHS[1].year, MONTHS[1].month, 2, tzinfo=UTC))
    corrections.correct("s-1", "payer", "m-1", author="maya", reason="m-1 pays")
    refresh.refresh_all()
    moved = Charge.objects.get(month=MONTHS[1], payer="m-1")
    for settled in (Settled.of(month=MONTHS[1]), Settled.of(month=MONTHS[1], payer="m-1")):
        assert settled.charge(moved.pk, "m-1", MONTHS[1]) == words.RECEIVABLE
    statement = read.of(MONTHS[1], "m-1")
    assert statement.due_minor == balances.due_in(Settled.of(month=MONTHS[1]), MONTHS[1])["m-1"] == 100
    assert statement.credit is not None
    assert (statement.credit.used_minor, statement.credit.closing_minor) == (0, 500)


@pytest.mark.parametrize("seed", range(LIVES))
def test_no_sequence_of_payments_sessions_and_closings_loses_or_doubles_a_cent(seed):
    life = PrepaidLife(seed)
    for number in range(30):
        life.step()
        if number in (12, 22):  # or else chance rarely closes a month
            life.close()
            life.check()


# --- single rules -----------------------------------------------------------------------------------------------------


def test_a_closed_month_is_one_entry_and_a_reversal_gives_back(prepaid_shop):
    credit(1_000)
    session(prepaid_shop, "s-1", FIRST, 30)
    session(prepaid_shop, "s-2", FIRST, 10, "m-2", gate="lathe-1")  # is billed by statement
    refresh.refresh_all()
    assert balances.all_of() == {"m-1": 700}
    close(FIRST)
    used = PrepaidEntry.objects.get(kind=PrepaidEntry.USED)
    assert (used.payer, used.amount_minor, used.day) == ("m-1", -300, MONTHS[1] - timedelta(days=1))
    corrections.correct("s-1", "payer", "m-2", author="eve", reason="a test")
    refresh.refresh_all()
    assert balances.all_of() == {"m-1": 1_000}
    assert (balances.of("m-1", used.day), balances.of("m-1", MONTHS[1])) == (700, 1_000)


def test_how_a_charge_is_settled_follows_the_payer_and_the_month_in_which_it_is_charged(prepaid_shop):
    session(prepaid_shop, "s-1", FIRST, 30)
    modes.set_mode("m-1", MONTHS[1], prepays=False, actor="eve")
    modes.set_mode(modes.EVERYBODY, MONTHS[1], prepays=True, actor="eve")
    refresh.refresh_all()
    known = modes.Modes.now()
    for payer, month, wanted in (
        ("m-1", FIRST, "prepaid"),
        ("m-2", FIRST, "receivable"),
        ("m-1", MONTHS[2], "receivable"),
        ("group:7", MONTHS[2] + timedelta(days=13), "prepaid"),
    ):
        assert known.settlement(payer, month) == wanted


def test_a_month_is_settled_by_its_own_mode_and_not_by_the_next_one(prepaid_shop):
    session(prepaid_shop, "s-1", FIRST, 30)
    session(prepaid_shop, "s-2", FIRST, 10, "m-2", gate="lathe-1")
    modes.set_mode("m-1", MONTHS[1], prepays=False, actor="eve")
    modes.set_mode("m-2", MONTHS[1], prepays=True, actor="eve")
    close(FIRST)
    assert balances.all_of() == {"m-1": -300}


def test_statements_are_made_again_if_credit_or_a_mode_changes_while_a_month_is_closed(prepaid_shop):
    ready = closing._prepare(FIRST)
    assert ready.is_current()
    credit(500)
    assert not ready.is_current()
    ready = closing._prepare(FIRST)
    modes.set_mode("m-2", FIRST, prepays=True, actor="eve")
    assert not ready.is_current()


def test_a_line_counts_on_its_own_day_and_one_of_a_closed_month_on_the_first_day_of_the_next(prepaid_shop):
    day = FIRST + timedelta(days=9)
    decisions.add_line("m-1", "Plywood", 500, day=day, author="eve")
    assert [balances.of("m-1", one) for one in (day - timedelta(days=1), day)] == [0, -500]
    close(FIRST)
    decisions.add_line("m-1", "Glue", 200, day=day, author="eve")
    assert [balances.of("m-1", one) for one in (MONTHS[1] - timedelta(days=1), MONTHS[1])] == [-500, -700]


def test_no_mode_changes_in_a_closed_month_or_for_an_unknown_payer(prepaid_shop):
    close(FIRST)
    with pytest.raises(UsageError, match="month: found"):
        modes.set_mode("m-2", FIRST, prepays=True, actor="eve")
    with pytest.raises(UsageError, match="payer: found 'm-99'"):
        modes.set_mode("m-99", MONTHS[1], prepays=True, actor="eve")
    assert not modes.set_mode("m-1", MONTHS[1], prepays=True, actor="eve")  # as it is
    assert PrepaidChange.objects.count() == 1


def test_a_form_counts_once_and_an_equal_credit_is_asked_about(prepaid_shop):
    first = credit(500, form="f-1")
    again = ledger.credit("m-1", 500, CASH, author="kim", now=NOW, form="f-1")
    assert (again.entry, again.change) == (first, None)
    with pytest.raises(ledger.TwinError) as error:
        credit(500, now=NOW + timedelta(seconds=50), form="f-2")
    assert error.value.entry == first
    credit(500, now=NOW + timedelta(seconds=50), form="f-2", is_meant=True)
    credit(500, now=NOW + timedelta(seconds=200), form="f-3")
    card = Paid("card", "4711")
    ledger.credit("m-1", 800, card, author="kim", now=NOW)
    with pytest.raises(ledger.TwinError):  # the till has each number once
        ledger.credit("m-1", 800, card, author="kim", now=NOW + timedelta(days=2))
    assert balances.of("m-1") == 2_300


@pytest.mark.parametrize(
    ("amount", "paid", "wanted"),
    [
        (0, CASH, "amount: found 0.00 EUR, wanted more than 0, at most 100000.00 EUR"),
        (-5, CASH, "amount: found -0.05 EUR"),
        (10_000_001, CASH, "amount: found 100000.01 EUR"),
        (5, Paid("shells"), "method: found 'shells', wanted cash, card, cheque, transfer"),
        (5, Paid("cash", "9" * 41), "receipt number: found"),
    ],
)
def test_a_credit_that_cannot_be_is_refused(prepaid_shop, amount, paid, wanted):
    with pytest.raises(UsageError, match=wanted):
        ledger.credit("m-1", amount, paid, author="kim", now=NOW)
    assert not PrepaidEntry.objects.exists()


def test_only_payers_who_prepay_and_have_not_ended_can_be_credited(prepaid_shop):
    school = payers.add_organisation(Payer(name="School"), actor="eve")
    with pytest.raises(ledger.NotPrepaidError):
        credit(500, school.pk)
    modes.set_mode(school.pk, MONTHS[1], prepays=True, actor="eve")
    credit(500, school.pk)  # before the month begins
    payers.end(school, actor="eve")
    with pytest.raises(payers.Ended):
        credit(700, school.pk)
    ledger.refund(school.pk, 500, Paid("transfer", reason="It ended"), author="eve", now=NOW)
    assert balances.of(school.pk) == 0


def test_at_most_the_balance_is_paid_back_with_a_reason(prepaid_shop):
    wrong = credit(5_000)
    session(prepaid_shop, "s-1", FIRST, 30)
    for amount, reason in ((4_701, "left"), (100, "  ")):
        with pytest.raises(UsageError):
            ledger.refund("m-1", amount, Paid("cash", reason=reason), author="eve", now=NOW)
    ledger.refund("m-1", 4_700, Paid("cash", reason="left"), author="eve", now=NOW)
    assert balances.of("m-1") == 0
    ledger.take_back(wrong.pk, author="eve", now=NOW, reason="typed 50 instead of 5")
    assert balances.of("m-1") == -5_000  # it was never paid in
    with pytest.raises(UsageError, match="has already been reversed"):
        ledger.take_back(wrong.pk, author="eve", now=NOW, reason="again")
    with pytest.raises(UsageError, match="found no credit with the number 99"):
        ledger.take_back(99, author="eve", now=NOW, reason="a test")


def test_a_day_has_a_sum_for_each_method(prepaid_shop):
    credit(500)
    wrong = credit(9_000)
    ledger.take_back(wrong.pk, author="eve", now=NOW, reason="typed wrongly")
    ledger.credit("m-1", 800, Paid("card", "4711"), author="kim", now=NOW)
    ledger.refund("m-1", 300, Paid("cash", reason="left"), author="eve", now=NOW)
    credit(1, now=NOW + timedelta(days=1))
    found = daily.of(NOW.date())
    assert found.methods == {"cash": daily.Sum(4, 500, -300), "card": daily.Sum(1, 800, 0)}
    assert (found.total, found.total.net_minor) == (daily.Sum(5, 1_300, -300), 1_000)


@pytest.mark.parametrize(
    "again",
    [
        lambda: ledger.credit("m-1", 700, CASH, author="kim", now=NOW, form="f-1"),
        lambda: ledger.credit("m-2", 500, CASH, author="kim", now=NOW, form="f-1"),
        lambda: ledger.credit("m-1", 500, Paid("card"), author="kim", now=NOW, form="f-1"),
        lambda: ledger.credit("m-1", 500, Paid("cash", "4711"), author="kim", now=NOW, form="f-1", is_meant=True),
        lambda: ledger.refund("m-1", 500, Paid("cash", reason="moves away"), author="kim", now=NOW, form="f-1"),
        lambda: ledger.refund("m-1", 200, Paid("cash", reason="moved"), author="kim", now=NOW, form="f-2"),
    ],
    ids=["amount", "payer", "method", "receipt", "refund", "reason"],
)
def test_a_form_that_was_sent_is_refused_with_other_values(prepaid_shop, again):
    first = credit(500, form="f-1")
    refunded = ledger.refund("m-1", 200, Paid("cash", reason="moves away"), author="kim", now=NOW, form="f-2").entry
    with pytest.raises(ledger.FormUsedError) as error:
        again()
    assert error.value.entry in (first, refunded)
    assert list(PrepaidEntry.objects.order_by("pk")) == [first, refunded]
    repeated = ledger.refund("m-1", 200, Paid("cash", reason=" moves  away "), author="kim", now=NOW, form="f-2")
    assert (repeated.entry, repeated.change) == (refunded, None)


def test_two_credits_at_the_same_moment_both_count_and_one_form_sent_twice_counts_once(prepaid_shop):
    def send(form: str) -> None:
        try:
            credit(500, form=form, is_meant=True)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(form,)) for form in ("f-1", "f-2", "f-1", "f-2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert balances.of("m-1") == 1_000
    assert sorted(PrepaidEntry.objects.values_list("form_key", flat=True)) == ["f-1", "f-2"]
    assert Change.objects.filter(verb="prepaid.credited").count() == 2


def test_a_credit_that_fails_half_way_leaves_nothing(prepaid_shop):
    def fail() -> dict[str, int]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        credit(500, rebuild=fail)
    assert not PrepaidEntry.objects.exists()
    assert not Change.objects.filter(verb="prepaid.credited").exists()


def test_what_was_altered_is_found(prepaid_shop):
    entry = credit(500)
    session(prepaid_shop, "s-1", FIRST, 30)
    close(FIRST)
    assert (findings(), altered()) == ([], [[]])
    for table, change, wanted in (
        (PrepaidEntry, {"amount_minor": 900}, "amount_minor: found '900', wanted '500'"),
        (PrepaidEntry, {"payer": "m-2"}, "payer: found 'm-2', wanted 'm-1'"),
        (PrepaidChange, {"prepays": False}, "prepays: found 'False', wanted 'True'"),
    ):
        with transaction.atomic():
            table.objects.filter(pk=PrepaidChange.objects.get().pk if table is PrepaidChange else entry.pk).update(
                **change
            )
            assert [wanted in found for found in findings()] == [True]
            assert altered() == [
                ["the SHA-256 differs: a charge, a line, a prepaid entry, the terms or the month before was altered"]
            ]
            transaction.set_rollback(True)
    with transaction.atomic():
        PrepaidEntry.objects.filter(pk=entry.pk).delete()
        (found,) = findings()
        assert found.startswith(f"prepaidentry {entry.pk}: is missing: the audit log has it since ")
        assert altered()[0][0] == "entries: found 1, wanted 2 as on " + f"{LATER:%Y-%m-%d}"
        transaction.set_rollback(True)
    PrepaidEntry.objects.create(payer="m-1", kind="used", amount_minor=9, day=MONTHS[1], author="", at=NOW)
    PrepaidEntry.objects.create(payer="m-1", kind="credit", amount_minor=9, day=MONTHS[1], author="", at=NOW)
    assert [found.partition(": ")[2] for found in findings()] == [
        "should not be there: the audit log does not have it",
        "should not be there: its month is not closed",
    ]


def test_who_no_longer_prepays_pays_what_they_owe_of_before_and_nothing_more(prepaid_shop):
    session(prepaid_shop, "s-1", FIRST, 30)
    refresh.refresh_all()
    modes.set_mode("m-1", MONTHS[1], prepays=False, actor="eve")
    later = datetime(MONTHS[1].year, MONTHS[1].month, 20, 12, tzinfo=UTC)
    assert balances.of("m-1") == -300
    credit(300, now=later)
    assert balances.of("m-1") == 0
    with pytest.raises(ledger.NotPrepaidError):
        credit(100, now=later)


def test_a_balance_can_be_asked_for_on_the_last_day_of_all(prepaid_shop):
    session(prepaid_shop, "s-1", FIRST, 30)
    refresh.refresh_all()
    assert balances.of("m-1", date.max) == balances.of("m-1") == -300


# --- who is out of credit ---------------------------------------------------------------------------------------------


def test_only_payers_who_prepay_are_out_of_credit_at_0(prepaid_shop):
    def out() -> list[bool]:
        found = standing.of(day=NOW.date())
        return [found.is_out(payer) for payer in ("m-1", "m-2", "group:1")]

    assert out() == [True, False, False]
    credit(300)
    assert out() == [False, False, False]
    session(prepaid_shop, "s-1", FIRST, 30)
    refresh.refresh_all()
    assert out() == [True, False, False]
    modes.set_mode(modes.EVERYBODY, FIRST, prepays=True, actor="eve")
    modes.set_mode("m-2", FIRST, prepays=False, actor="eve")
    assert out() == [True, False, True]
    one = standing.of(["m-1"], NOW.date())
    assert one.is_out("m-1")


def test_the_plan_of_a_member_sets_the_overdraft(prepaid_shop):
    Plan.objects.filter(name="half").update(overdraft_minor=200)
    member_plans.set_plan(Member.objects.get(pk="m-1"), "half", FIRST, actor="eve")
    for minutes, is_out in ((29, False), (10, False), (1, True)):  # half of 0.10 a minute
        session(prepaid_shop, f"s-{minutes}", FIRST + timedelta(days=30 - minutes), minutes)
        refresh.refresh_all()
        assert standing.of().is_out("m-1") is is_out
    assert standing.overdraft_minor("m-1") == 200

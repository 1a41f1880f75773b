"""Do the verbs about credit do what they say?"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fabgate.collector.ground.models import BillingTerms, PrepaidChange, PrepaidEntry
from fabgate.collector.money.billing.prepaid import modes
from fabgate.errors import UsageError
from tests.collector.money.billing.booked import FIRST, session

pytestmark = pytest.mark.usefixtures("env", "told")


def today() -> str:
    """Of the moment: midnight may have passed since this file was read."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def test_credit_is_taken_printed_and_paid_back(billed_shop, run):
    assert run("bill-prepaid", "m-1", "--from", f"{FIRST:%Y-%m}").startswith(f"m-1 prepays, from {FIRST:%Y-%m}; ")
    session(billed_shop, "s-1", FIRST, 30)
    lines = run("bill-credit", "m-1", "20.00", "--method", "cash", "--till", "4711").splitlines()
    assert lines[0] == f"number 1, {today()}: m-1: credit 20.00 EUR, cash; balance 17.00 EUR"
    assert lines[-1].startswith("this is an acknowledgement, not a receipt")
    with pytest.raises(UsageError, match="an identical credit has already been added: number 1, by cli:"):
        run("bill-credit", "m-1", "20.00", "--method", "cash")
    run("bill-credit", "m-1", "20.00", "--method", "cash", "--again")
    run("bill-refund", "--entry", "2", "--reason", "typed twice")
    assert run("bill-balance").splitlines()[1].split() == ["m-1", "17.00", "EUR"]
    assert run("bill-balance", "m-1", "--at", f"{FIRST:%Y-%m-%d}").split()[-3:] == ["m-1", "-3.00", "EUR"]
    found = json.loads(run("bill-balance", "--json"))
    assert found["payers"] == [
        {
            "payer": "m-1",
            "balance_minor": 1_700,
            "accepted_minor": 1_700,
            "settlement": "prepaid",
            "out_of_credit": False,
        }
    ]
    run("bill-refund", "m-1", "17.00", "--method", "transfer", "--reason", "left")
    assert run("bill-balance", "m-1").split()[-3:] == ["EUR", "out", "of", "credit"][-3:]
    rows = [line.split() for line in run("bill-credits", today()).splitlines()]
    assert rows[-2:] == [["all", "cash", "20.00", "EUR"], ["all", "transfer", "-17.00", "EUR"]]
    day = json.loads(run("bill-credits", "--json"))
    assert [entry["amount_minor"] for entry in day["entries"]] == [2_000, 2_000, -2_000, -1_700]
    assert day["methods"]["cash"] == {"entries": 3, "in_minor": 2_000, "out_minor": 0, "net_minor": 2_000}


def test_settlements_are_set_and_listed(billed_shop, run):
    assert run("bill-prepaid") == "no payer prepays\n"
    run("bill-prepaid", "--everybody", "--from", f"{FIRST:%Y-%m}", "--warn-below", "5")
    run("bill-prepaid", "m-2", "--off", "--from", f"{FIRST:%Y-%m}")
    assert "already" in run("bill-prepaid", "m-2", "--off", "--from", f"{FIRST:%Y-%m}")
    assert [line.split() for line in run("bill-prepaid").splitlines()] == [
        ["payer", "from", "mode"],
        ["every", "other", "payer", f"{FIRST:%Y-%m}", "prepaid"],
        ["m-2", f"{FIRST:%Y-%m}", "by", "statement"],
        ["warning", "below", "5.00", "EUR"],
    ]
    assert BillingTerms.objects.get().low_credit_minor == 500
    assert PrepaidChange.objects.count() == 2
    assert not modes.Modes.now().prepays("m-2", FIRST)


def test_a_plan_has_an_overdraft(billed_shop, run):
    assert run("bill-plan", "student", "--overdraft", "10").endswith("0 % discount, overdraft 10.00 EUR\n")
    assert ["student", "30", "0", "%", "10.00", "EUR", "0"] in [line.split() for line in run("bill-plan").splitlines()]
    with pytest.raises(UsageError, match="--overdraft: found -1: "):
        run("bill-plan", "student", "--overdraft", "-1")
    with pytest.raises(UsageError, match=r"--warn-below: found -1.00 EUR, wanted 0 to 100000.00 EUR"):
        run("bill-prepaid", "--warn-below", "-1")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["bill-credit", "m-1", "1.005", "--method", "cash"], "AMOUNT: found '1.005'"),
        (["bill-credit", "m-99", "1", "--method", "cash"], "payer: found 'm-99'"),
        (["bill-credit", "m-1", "1", "--method", "cash"], "does not prepay"),
        (["bill-balance", "m-99"], "payer: found 'm-99'"),
        (["bill-balance", "--at", "tomorrow"], "--at: found 'tomorrow'"),
        (["bill-credits", "2027-13-01"], "DAY: found '2027-13-01'"),
        (["bill-refund", "m-1", "1", "--reason", "left"], "wanted all three"),
        (["bill-refund", "m-1", "--entry", "1", "--reason", "left"], "omit PAYER"),
        (["bill-prepaid", "m-1", "--from", "2020-01"], "month: found"),
    ],
)
def test_what_cannot_be_is_refused(billed_shop, run, words, wanted):
    with pytest.raises(UsageError, match=wanted):
        run(*words)
    assert not PrepaidEntry.objects.exists()
    assert not PrepaidChange.objects.exists()

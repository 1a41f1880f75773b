"""The arguments of the verbs that begin with ``bill-``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from fabgate.collector.cli.billing.arguments import shared, statements

_START: Final = (
    "From this month on, each session has a charge. The currency and the time zone (that of FABGATE_TZ) cannot be changed"
    " later. bill-month prints the total of a month."
)
_PLAN: Final = (
    "Free minutes count for each pair of payer and member, in each month. 'member-plan' and the list of people say which"
    " plan a member has, from which day on."
)
_RULE: Final = (
    "The most specific rule counts: for the machine, then for its category, then for all; then for the plan; then the"
    " newest. A later rule for the same machines and plan replaces it from its day on. Amounts are in the currency's main"
    " unit, prices per minute: price, idle_price (with basis=running), session_fee, minimum, daily_cap, grace_s, step_s,"
    " purposes, vat_code, and any number of peak='DAYS HH:MM-HH:MM PRICE'. docs/billing.md explains each."
)
_MONTH: Final = (
    "Each session that ended in the month is in exactly one class; the classes add up to all sessions. docs/billing.md"
    " explains them. The verb changes nothing."
)
_PAYERS: Final = (
    "Members, groups and organisations that pay for others, or whose details are recorded. Everyone else pays for"
    " themselves. They are changed on the page People, Payers."
)
_CLOSE: Final = (
    "Months are closed one after the other, once they are over. The charges of a closed month never change: a later"
    " correction adds a reversal and a new charge to the open month. If entries are missing or sessions wait for a"
    " review, --reason is needed."
)
_LINE: Final = "It is charged in the open month. A negative amount is a reduction, such as part of a session: name it with --session."
_VERIFY: Final = (
    "Each closed month has a SHA-256 over the month before, its terms, charges, lines and prepaid entries. Note the last"
    " one: it vouches for all months before."
)
_PREPAID: Final = (
    "Charges of payers who prepay are deducted from their credit. Once the credit is used up, gates refuse everyone they"
    " pay for at machines that are not free. The setting applies to whole months that are not closed."
)
_CREDIT: Final = (
    "Gates accept everyone for whom the payer pays again at once. The verb prints an acknowledgement; receipts come from"
    " the till or the accounting."
)
_REFUND: Final = (
    "You can refund at most the balance. If a credit was entered by mistake, reverse it in full with --entry, and add the"
    " correct one."
)
_TRY: Final = (
    "It shows what the tariff would cost, as if it had always applied in the place of the rules for the same machines and"
    " plan; --session alone tries it on that session's machine and plan. What is on record is shown beside what it costs now."
)


def add_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the verbs by `add`, which is that of verbs.py for the collector's subparsers."""
    start = add(
        "bill-start",
        "billing.rules",
        "start billing: the currency, and the first month",
        "start",
        about=_START,
        example="--currency EUR --vat included --from 2027-01",
    )
    start.add_argument("--currency", required=True, metavar="CODE", help="a code of ISO 4217, such as EUR")
    start.add_argument("--vat", required=True, choices=("included", "excluded"), help="whether prices include VAT")
    start.add_argument("--from", dest="first", required=True, metavar="MONTH", help="the first month, such as 2027-01")
    plan = add(
        "bill-plan",
        "billing.rules",
        "add or change a plan; without a name, list the plans",
        "set_plan",
        about=_PLAN,
        example="student --free-minutes 120 --discount 20",
    )
    plan.add_argument("name", metavar="NAME", nargs="?", help="the plan's name")
    plan.add_argument("--free-minutes", type=int, metavar="N", help="free minutes a month for each member")
    plan.add_argument("--discount", metavar="PERCENT", help="taken off what a session costs")
    plan.add_argument(
        "--overdraft", metavar="AMOUNT", help="how far below 0 the balance of a member who prepays may fall"
    )
    rule = add(
        "bill-rule",
        "billing.rules",
        "set what machines cost; without a tariff, list the rules",
        "add_rule",
        about=_RULE,
        example="--machine laser --from 2027-01-01 price=0.10 minimum=1.00 peak='mon-fri 17:00-22:00 0.25'",
    )
    rule.add_argument("tariff", nargs="*", metavar="NAME=VALUE", help="such as price=0.10 grace_s=30")
    _place(rule)
    rule.add_argument("--from", dest="since", metavar="DATE", help="the first day on which it applies")
    remove = add("bill-rule-remove", "billing.rules", "remove a rule", "remove_rule", example="3")
    remove.add_argument("rule", type=int, metavar="RULE", help="its number, as bill-rule lists it")
    for verb in (start, plan, rule, remove):
        shared.actor(verb)
    month = add(
        "bill-month",
        "billing.month",
        "print what a month comes to, for each payer",
        "show_month",
        about=_MONTH,
        example="2027-01",
    )
    shared.month(month)
    form = month.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="exact figures, as CSV")
    form.add_argument("--json", dest="form", action="store_const", const="json", help="exact figures, as JSON")
    session = add(
        "bill-session",
        "billing.month",
        "explain what a session costs, step by step",
        "show_session",
        example="01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7",
    )
    session.add_argument("session", metavar="SESSION", help="the session's id")
    shared.as_json(session)
    payers = add(
        "bill-payers",
        "billing.payers",
        "list the payers that have a record",
        "show_payers",
        about=_PAYERS,
        example="--json",
    )
    payers.add_argument("--json", action="store_true", help="print JSON, with addresses and references")
    _add_closing_verbs(add)
    _add_prepaid_verbs(add)
    statements.add_verbs(add)
    trial = add(
        "bill-try",
        "billing.trial",
        "try a tariff on a session or a month, before it applies",
        "try_tariff",
        about=_TRY,
        example="--machine laser --month 2027-01 price=0.12 minimum=1.00",
    )
    trial.add_argument("tariff", nargs="+", metavar="NAME=VALUE", help="as in bill-rule")
    _place(trial)
    what = trial.add_mutually_exclusive_group(required=True)
    what.add_argument("--minutes", type=float, metavar="N", help="an invented session of this length")
    what.add_argument("--session", metavar="ID", help="a session on record")
    what.add_argument("--month", metavar="MONTH", help="all sessions of a month, old against new")
    trial.add_argument("--start", metavar="ISO", help="when the invented session starts (default: now)")
    trial.add_argument(
        "--running", type=float, metavar="N", help="for how many of its minutes a job runs (default: all)"
    )
    shared.as_json(trial)


def _add_closing_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    close = add(
        "bill-close",
        "billing.closing",
        "close a month, which makes its charges final",
        "close",
        about=_CLOSE,
        example="2027-01",
    )
    shared.month(close)
    close.add_argument("--reason", metavar="TEXT", help="why the month is closed although something is open")
    waive = add(
        "bill-waive",
        "billing.closing",
        "let a session cost nothing",
        "waive",
        example="01975c3e-7a2f-7cc0-8000-5f4dcc3b5aa7 --reason 'The machine was faulty'",
    )
    waive.add_argument("session", metavar="SESSION", help="the session's id")
    waive.add_argument("--withdraw", action="store_true", help="withdraw the waiver")
    line = add(
        "bill-line",
        "billing.closing",
        "charge a payer for something besides sessions",
        "add_line",
        about=_LINE,
        example="m-117 12.50 'Plywood, 9 mm'",
    )
    shared.payer(line)
    line.add_argument("amount", metavar="AMOUNT", help="in the currency's main unit, such as 12.50")
    line.add_argument("text", metavar="TEXT", help="what it is for")
    line.add_argument("--session", metavar="ID", help="the session that it is about")
    line.add_argument("--vat-code", metavar="CODE", help="the code of your accounting")
    remove = add(
        "bill-line-remove",
        "billing.closing",
        "remove a line of the open month",
        "remove_line",
        example="7 --reason 'Entered twice'",
    )
    remove.add_argument("line", type=int, metavar="LINE", help="its number, as bill-line printed it")
    for verb in (waive, remove):
        verb.add_argument("--reason", required=True, metavar="TEXT", help="why")
    for verb in (close, waive, line, remove):
        shared.actor(verb)
    verify = add(
        "verify-periods",
        "billing.closing",
        "check that closed months have not been altered",
        "verify",
        about=_VERIFY,
    )
    shared.as_json(verify)


def _add_prepaid_verbs(add: Callable[..., argparse.ArgumentParser]) -> None:
    mode = add(
        "bill-prepaid",
        "billing.prepaid",
        "set from which month a payer prepays; without a payer, list the settings",
        "set_mode",
        about=_PREPAID,
        example="m-117 --from 2027-01",
    )
    who = mode.add_mutually_exclusive_group()
    shared.payer(who, is_optional=True)
    who.add_argument("--everybody", action="store_true", help="all payers without a setting of their own")
    mode.add_argument("--off", action="store_true", help="bill by statement from that month on")
    mode.add_argument("--from", dest="since", metavar="MONTH", help="the first month (default: this one)")
    mode.add_argument(
        "--warn-below", metavar="AMOUNT", help="warn payers whose credit is below this; 0: only when it is used up"
    )
    credit = add(
        "bill-credit",
        "billing.prepaid",
        "add credit that a payer paid in",
        "credit",
        about=_CREDIT,
        example="m-117 20.00 --method cash --till 4711",
    )
    shared.payer(credit)
    credit.add_argument("amount", metavar="AMOUNT", help="in the currency's main unit, such as 20.00")
    credit.add_argument("--again", action="store_true", help="add it although an identical credit exists")
    refund = add(
        "bill-refund",
        "billing.prepaid",
        "refund credit, or reverse a credit that was entered by mistake",
        "refund",
        about=_REFUND,
        example="m-117 12.50 --method transfer --reason 'Left the workshop'",
    )
    shared.payer(refund, is_optional=True)
    refund.add_argument("amount", metavar="AMOUNT", nargs="?", help="at most the balance")
    refund.add_argument("--entry", type=int, metavar="NUMBER", help="the number of the credit to reverse, in full")
    refund.add_argument("--reason", required=True, metavar="TEXT", help="why")
    for verb, is_needed in ((credit, True), (refund, False)):
        verb.add_argument(
            "--method", required=is_needed, choices=("cash", "card", "cheque", "transfer"), help="how it was paid"
        )
        verb.add_argument("--till", metavar="NUMBER", help="the number on the till's receipt, or on the cheque")
    for verb in (mode, credit, refund):
        shared.actor(verb)
    balance = add(
        "bill-balance",
        "billing.prepaid",
        "print the balance of a payer, or of all",
        "balance",
        example="m-117 --at 2027-01-31",
    )
    shared.payer(balance, is_optional=True)
    balance.add_argument("--at", metavar="DATE", help="at the end of this day (default: all that is on record)")
    of_day = add(
        "bill-credits",
        "billing.prepaid",
        "print the credits and refunds of a day, by method",
        "credits_of_day",
        example="2027-01-31",
    )
    of_day.add_argument("day", metavar="DAY", nargs="?", help="such as 2027-01-31 (default: today)")
    for verb in (balance, of_day):
        shared.as_json(verb)


def _place(verb: argparse.ArgumentParser) -> None:
    place = verb.add_mutually_exclusive_group()
    place.add_argument("--machine", metavar="NAME", help="only for this machine")
    place.add_argument("--category", metavar="NAME", help="only for machines of this category")
    verb.add_argument("--plan", metavar="NAME", help="only for members of this plan")

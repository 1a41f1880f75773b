"""The arguments of the verbs that start billing, and set and try prices."""

from __future__ import annotations

import argparse
from typing import Final

from fabgate.collector.cli.arguments import shared

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
_SINCE: Final = (
    "the first day on which it applies; without it today, or the first day of billing for machines without a rule while no"
    " month was ever closed"
)
_VAT: Final = (
    "With the rate of each code, totals with and without VAT are known. The code '' is that of prices without one. A rate that"
    " charges or lines of a closed month have can neither be changed nor removed: make rules with a new code."
)
_TRY: Final = (
    "It shows what the tariff would cost, as if it had always applied in the place of the rules for the same machines and"
    " plan; --session alone tries it on that session's machine and plan. What is on record is shown beside what it costs now."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    start = add(
        "bill-start",
        "billing.rules",
        "start billing: the currency, and the first month",
        "start",
        about=_START,
        example="--currency EUR --vat included --from 2027-01",
    )
    start.add_argument("--currency", required=True, metavar="CODE", help="a code of ISO 4217, such as EUR")
    start.add_argument(
        "--vat",
        required=True,
        choices=("included", "excluded", "not-applicable"),
        help="whether prices include VAT; not-applicable: the workshop does not charge it (art. 293 B CGI)",
    )
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
    rule.add_argument("--from", dest="since", metavar="DATE", help=_SINCE)
    rule.add_argument("--sure", action="store_true", help="change what sessions that have ended cost, as it was listed")
    remove = add("bill-rule-remove", "billing.rules", "remove a rule", "remove_rule", example="3")
    remove.add_argument("rule", type=int, metavar="RULE", help="its number, as bill-rule lists it")
    vat = add(
        "bill-vat",
        "billing.vat",
        "set the VAT rate of a code; without a code, list the rates",
        "set_rate",
        about=_VAT,
        example="S20 20",
    )
    vat.add_argument(
        "code", metavar="CODE", nargs="?", help="the VAT code of rules and lines; '' for prices without one"
    )
    vat.add_argument("percent", metavar="PERCENT", nargs="?", help="the rate, such as 20 or 5.5")
    vat.add_argument("--remove", action="store_true", help="remove the rate")
    vat.add_argument("--sure", action="store_true", help="set the rate of a code that closed months have, for good")
    for verb in (start, plan, rule, remove, vat):
        shared.actor(verb)
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


def _place(verb: argparse.ArgumentParser) -> None:
    place = verb.add_mutually_exclusive_group()
    place.add_argument("--machine", metavar="NAME", help="only for this machine")
    place.add_argument("--category", metavar="NAME", help="only for machines of this category")
    verb.add_argument("--plan", metavar="NAME", help="only for members of this plan")

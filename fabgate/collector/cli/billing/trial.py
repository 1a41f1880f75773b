"""Tries a tariff before it applies, on an invented session, a real one or a month: ``bill-try``. Nothing is stored."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fabgate import days
from fabgate.collector.cli import text_table
from fabgate.collector.cli.billing.month import month_of, rate_session
from fabgate.collector.cli.billing.rules import scope_of
from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing import explain, terms, trial
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.rating import Rated, Terms
from fabgate.collector.money.billing.tariffs import typed_rule
from fabgate.collector.money.billing.tariffs.rules import NOT_STORED, Rule
from fabgate.collector.money.billing.trial import Compared
from fabgate.errors import UsageError

#: An invented session lasts at most this long.
_MOST_MINUTES: Final = 31 * 24 * 60


def try_tariff(args: argparse.Namespace) -> int:
    """Print what the tariff would make of the session, or of the month."""
    found = terms.get()
    mistakes: list[str] = []
    scope = scope_of(args, mistakes)
    typed = typed_rule.read(args.tariff, found.digits, mistakes)
    if mistakes or typed is None:
        raise UsageError("\n".join(mistakes))
    rule = Rule(
        id=NOT_STORED,
        tariff=typed.tariff,
        valid_from=date.min,
        machine=scope.machine.name if scope.machine else "",
        category=scope.category,
        plan=scope.plan.name if scope.plan else "",
        purposes=typed.purposes,
    )
    now = terms.for_rating(found)
    if args.month is not None:
        _write_comparison(trial.compare(month_of(args.month, "--month"), now, rule), found, args.json)
        return 0
    if args.session is not None:
        before, after = _on_record(args, now, rule)
    else:
        before, after = None, _invented(args, now, rule)
    _write_session(before, after, now.zone, found, args.json)
    return 0


def _on_record(args: argparse.Namespace, now: Terms, rule: Rule) -> tuple[Rated, Rated]:
    """Rate a session on record by today's rules, and by `rule`: that of its machine and plan, unless others are named."""
    before = rate_session(args.session, now).rated
    if not any((args.machine, args.category, args.plan)):
        rule = trial.at_place_of(before, rule)
    after = rate_session(args.session, trial.with_rule(now, rule)).rated
    if not trial.applies(after):
        raise UsageError(
            f"the session was at {before.facts.machine}, and this tariff would not apply to it; leave out --machine,"
            " --category and --plan to try it on this session"
        )
    return before, after


def _invented(args: argparse.Namespace, now: Terms, rule: Rule) -> Rated:
    """Rate the session of ``--minutes``, ``--running`` and ``--start``."""
    running = args.minutes if args.running is None else args.running
    mistakes = [
        f"--{name}: found {minutes}, wanted 0 to {_MOST_MINUTES} minutes"
        for name, minutes in (("minutes", args.minutes), ("running", running))
        if not 0 <= minutes <= _MOST_MINUTES
    ]
    start = datetime.now(now.zone)
    if args.start is not None:
        try:
            start = days.read_moment(args.start)
        except days.UnlikelyDay as error:
            mistakes.append(f"--start: found {args.start!r}, {error}")
        except ValueError:
            mistakes.append(f"--start: found {args.start!r}, wanted a moment such as 2027-01-05T16:30")
    if mistakes:
        raise UsageError("\n".join(mistakes))
    start = start if start.tzinfo else start.replace(tzinfo=now.zone)
    return trial.invented(now, rule, start, round(args.minutes * 60_000), round(running * 60_000))


def _write_session(before: Rated | None, after: Rated, zone: ZoneInfo, found: BillingTerms, as_json: bool) -> None:
    lines = explain.lines(after, zone, found.currency, found.digits)
    if as_json:
        answer: dict[str, Any] = {
            "class": after.kind,
            "amount_minor": after.amount_minor,
            "now_minor": before and before.amount_minor,
            "currency": found.currency,
            "steps": lines,
        }
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if before is not None:
        amount = decimal_text(before.amount_minor, found.digits)
        sys.stdout.write(f"with the rules that apply now: {amount} {found.currency} ({before.kind})\n")


def _write_comparison(sums: dict[tuple[str, str], Compared], found: BillingTerms, as_json: bool) -> None:
    if as_json:
        lines = [{"machine": machine, "plan": plan, **total._asdict()} for (machine, plan), total in sums.items()]
        json.dump({"currency": found.currency, "lines": lines}, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    if not sums:
        sys.stdout.write("no session ended in this month\n")
        return
    whole = Compared(*map(sum, zip(*sums.values(), strict=True)))
    rows = [
        (
            machine,
            plan,
            str(total.sessions),
            *(
                decimal_text(amount, found.digits)
                for amount in (total.amount_minor, total.new_minor, total.new_minor - total.amount_minor)
            ),
        )
        for (machine, plan), total in [*sums.items(), (("all", ""), whole)]
    ]
    heads = ("machine", "plan", "sessions", f"now {found.currency}", "new", "difference")
    text_table.write([heads, *rows], sys.stdout, right=(2, 3, 4, 5), rule_before=len(rows))

"""Starts billing, and sets plans and rules: ``bill-start``, ``bill-plan``, ``bill-rule`` and ``bill-rule-remove``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from fabgate.collector.cli import text_table
from fabgate.collector.cli.billing.closing import minor_of
from fabgate.collector.cli.billing.month import month_of
from fabgate.collector.cli.days import read_day
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import BillingTerms, Machine, Plan, TariffRule
from fabgate.collector.members.people import blocks, names
from fabgate.collector.money.billing import member_plans, rule_store, terms, trial
from fabgate.collector.money.billing.currencies import text as money
from fabgate.collector.money.billing.tariffs import typed_rule
from fabgate.collector.money.billing.trial import Compared
from fabgate.errors import UsageError


def start(args: argparse.Namespace) -> int:
    """Start billing."""
    first = month_of(args.first, "--from")
    found = terms.start(
        args.currency.upper(),
        first,
        settings.TIME_ZONE,
        includes_vat=terms.VAT[args.vat],
        actor=audit.cli_actor(args.actor),
    )
    vat = {True: "prices including VAT", False: "prices excluding VAT", None: "VAT not applicable (art. 293 B CGI)"}
    sys.stdout.write(
        f"billing starts with {found.first_month:%Y-%m}, in {found.currency}, {vat[found.includes_vat]}, {found.zone}\n"
    )
    sys.stdout.write(f"now say what machines cost: {called.command('bill-rule --help')}\n")
    return 0


@transaction.atomic
def set_plan(args: argparse.Namespace) -> int:
    """Make or change a plan; without a name, list the plans."""
    if args.name is None:
        return _list_plans()
    plan = Plan.objects.select_for_update(no_key=True).filter(name=args.name).first() or Plan(name=args.name)
    mistakes: list[str] = []
    if args.name != names.line(args.name) or names.unseen(args.name):
        mistakes.append(f"found the plan {args.name[:60]!r}, wanted one line of visible characters")
    if args.free_minutes is not None:
        plan.free_minutes = args.free_minutes
    if args.discount is not None:
        try:
            plan.discount_percent = Decimal(args.discount)
        except InvalidOperation:
            mistakes.append(f"--discount: found {args.discount!r}, wanted a number of percent such as 20 or 12.5")
    if args.overdraft is not None:
        plan.overdraft_minor = minor_of(args.overdraft, terms.get().digits)
    typed_as = {
        "free_minutes": ("--free-minutes", args.free_minutes),
        "discount_percent": ("--discount", args.discount),
        "overdraft_minor": ("--overdraft", args.overdraft),
    }
    try:
        plan.full_clean(validate_unique=False)
    except ValidationError as error:
        for field, texts in error.message_dict.items():
            option, typed = typed_as.get(field, (field, getattr(plan, field)))
            mistakes += [f"{option}: found {typed}: {text}" for text in texts]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    with audit.change(audit.cli_actor(args.actor), "plan.updated" if plan.pk else "plan.added", plan):
        plan.save()
    overdraft = f", overdraft {_overdraft(plan)}" if plan.overdraft_minor else ""
    sys.stdout.write(
        f"{plan}: {plan.free_minutes} free minutes a month, {plan.discount_percent.normalize():f} % discount{overdraft}\n"
    )
    return 0


def _list_plans() -> int:
    members = member_plans.members_of(blocks.today())
    rows = [
        (
            row.name,
            str(row.free_minutes),
            f"{row.discount_percent.normalize():f} %",
            _overdraft(row),
            str(members.get(row.name, 0)),
        )
        for row in Plan.objects.order_by("name")
    ]
    header = ("plan", "free minutes", "discount", "overdraft", "members")
    text_table.write([header, *rows], sys.stdout, right=(1, 2, 3, 4))
    return 0


def _overdraft(plan: Plan) -> str:
    """Return the overdraft of a plan; there is one only where billing was started."""
    found = terms.started()
    return money(plan.overdraft_minor, found.currency, found.digits) if found and plan.overdraft_minor else "none"


@transaction.atomic
def add_rule(args: argparse.Namespace) -> int:
    """Add a rule; without a tariff, list the rules."""
    found = terms.get()
    if not args.tariff:
        if any((args.machine, args.category, args.plan, args.since, args.sure)):
            raise UsageError("found no tariff; wanted one such as price=0.10, or bill-rule alone to list the rules")
        return _list_rules()
    mistakes: list[str] = []
    scope = scope_of(args, mistakes)
    day = _day(args.since, mistakes) if args.since is not None else rule_store.proposed_day(scope, found)
    typed = typed_rule.read(args.tariff, found.digits, mistakes)
    if day is not None and day < found.first_month:
        mistakes.append(f"--from: found {day}, wanted {found.first_month} or later, because billing starts then")
    if mistakes or typed is None or day is None:
        raise UsageError("\n".join(mistakes))
    rule = rule_store.unsaved(scope, day, typed)
    if not args.sure and day >= (terms.first_open_day() or day):
        refuse_unseen(trial.of_rule(found, terms.rule_of(rule)), found, day)
    try:
        rule_store.add(rule, audit.cli_actor(args.actor))
    except rule_store.SameDayError as error:
        other = error.rule
        raise UsageError(
            f"found rule {other.pk} for {other}, which begins on the same day; choose another day, or remove it with"
            f" '{called.command(f'bill-rule-remove {other.pk}')}'"
        ) from None
    sys.stdout.write(f"rule {rule.pk}: {rule}: {_typed(rule)}\n")
    return 0


def refuse_unseen(changes: Mapping[tuple[str, str], Compared], found: BillingTerms, since: date) -> None:
    """List which sessions that have ended would cost something else from a day on. Raises UsageError if there is one."""
    if not changes:
        return
    rows = [
        (machine, plan or "no plan", str(one.sessions), *(_plain(minor, found) for minor in one[1:]))
        for (machine, plan), one in changes.items()
    ]
    text_table.write([("machine", "plan", "sessions", "now", "new"), *rows], sys.stderr, right=(2, 3, 4))
    raise UsageError(
        f"from {since} on, this changes what past sessions cost: they are listed above; add --sure to change them, or choose a later day"
    )


def _plain(minor: int, found: BillingTerms) -> str:
    return money(minor, found.currency, found.digits)


def remove_rule(args: argparse.Namespace) -> int:
    """Remove a rule."""
    rule = rule_store.remove(args.rule, audit.cli_actor(args.actor))
    if rule is None:
        raise UsageError(f"found no rule {args.rule}; '{called.command('bill-rule')}' lists them")
    sys.stdout.write(f"removed rule {args.rule}: {rule}\n")
    return 0


class RuleScope(NamedTuple):
    """Where a rule applies: at a machine or in a category, or everywhere; for one plan or all."""

    machine: Machine | None
    category: str
    plan: Plan | None


def scope_of(args: argparse.Namespace, mistakes: list[str]) -> RuleScope:
    """Return what ``--machine``, ``--category`` and ``--plan`` name; adds to `mistakes`."""
    machines, plans = Machine.objects.order_by("name"), Plan.objects.order_by("name")
    machine = machines.filter(name=args.machine).first() if args.machine else None
    if args.machine and machine is None:
        mistakes.append(_unknown("--machine", args.machine, machines.values_list("name", flat=True)))
    categories = Machine.objects.exclude(category="").order_by("category").values_list("category", flat=True).distinct()
    if args.category and args.category not in categories:
        mistakes.append(_unknown("--category", args.category, categories))
    plan = plans.filter(name=args.plan).first() if args.plan else None
    if args.plan and plan is None:
        mistakes.append(_unknown("--plan", args.plan, plans.values_list("name", flat=True)))
    return RuleScope(machine, args.category or "", plan)


def _list_rules() -> int:
    rows = [
        (str(row.pk), row.place, row.plan.name if row.plan else "every plan", str(row.valid_from), _typed(row))
        for row in TariffRule.objects.select_related("machine", "plan").order_by("pk")
    ]
    text_table.write([("rule", "machines", "plan", "from", "tariff"), *rows], sys.stdout)
    return 0


def _typed(row: TariffRule) -> str:
    rule = terms.rule_of(row)
    return typed_rule.as_text(rule.tariff, rule.purposes, rule.vat_code)


def _unknown(option: str, text: str, known: Iterable[str]) -> str:
    names = ", ".join(known)
    return f"{option}: found {text[:60]!r}, {f'wanted one of: {names}' if names else 'but the collector has none yet'}"


def _day(text: str, mistakes: list[str]) -> date | None:
    try:
        return read_day(text, "--from", "the first day of the rule, such as 2027-01-01")
    except UsageError as error:
        mistakes.append(str(error))
        return None

"""Compares plans of members and references of payers with the audit log, and the terms of charges with their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import partial
from itertools import zip_longest
from typing import Final

from fabgate.collector.ground.db.logged import Table, Value
from fabgate.collector.ground.models import Change, Charge, ChargeTerms, PayerReference, Plan, PlanChange
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.billing.member_plans import NO_HISTORY, History
from fabgate.collector.money.billing.member_plans import Change as ChangeOfPlan
from fabgate.collector.processes.verify import guard
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.snapshot import PAGE
from fabgate.collector.processes.verify.tables import logged

_HISTORY: Final = "planchange"
_REFERENCE: Final = "payerreference"
#: What the log calls the references of a payer.
_REFERENCES: Final = "references"


def check(report: Report) -> None:
    """Name each plan of a member and each reference that is not as the audit log has it, and changed terms of charges."""
    guard.carry_out(report, _HISTORY, partial(_check_histories, report))
    guard.carry_out(report, _REFERENCE, partial(_check_references, report))
    guard.carry_out(report, "chargeterms", partial(_check_terms, report))


def _check_histories(report: Report) -> None:
    """Compare which plan each member has from which day on."""
    # A plan whose name was changed is named once, and not again for each of its members.
    plans = Table(Plan, fields=["id", "name"]).of(list(Plan.objects.values_list("pk", flat=True)))
    names = {pk: str(values["name"].value) for pk, values in plans.items() if "name" in values}
    stored: dict[str, list[ChangeOfPlan]] = {}
    changes = PlanChange.objects.order_by("member_id", "since")
    for member, since, plan, name in changes.values_list("member_id", "since", "plan_id", "plan__name").iterator(PAGE):
        report.compared[_HISTORY] += 1
        found = "" if plan is None else names.get(plan) or name or f"number {plan}"
        stored.setdefault(member, []).append(ChangeOfPlan(since, found))
    wanted, sources = _logged_histories()
    for member in sorted(stored.keys() | wanted.keys()):
        _compare_histories(
            report, member, tuple(stored.get(member, ())), wanted.get(member, NO_HISTORY), sources.get(member, {})
        )


def _compare_histories(
    report: Report, member: str, stored: History, wanted: History, sources: Mapping[ChangeOfPlan, Value]
) -> None:
    """Compare changes of the same day, then the others in their order."""
    plans, days = dict(stored), {change.since for change in wanted}
    for change in wanted:
        if plans.get(change.since, change.plan) != change.plan:
            where = _HISTORY, f"{member}/{change.since}"
            report.changed(*where, "plan", plans[change.since], change.plan, since=_since(sources, change))
    added = [change for change in stored if change.since not in days]
    missing = [change for change in wanted if change.since not in plans]
    for found, change in zip_longest(added, missing):
        if found is None:
            logged.report_missing(report, _HISTORY, f"{member}/{change.since}", filter(None, [sources.get(change)]))
        elif change is None:
            report.added(_HISTORY, f"{member}/{found.since}", logged.NOT_LOGGED)
        else:
            where = _HISTORY, f"{member}/{change.since}"
            report.changed(*where, "since", found.since, change.since, since=_since(sources, change))
            if found.plan != change.plan:
                report.changed(*where, "plan", found.plan, change.plan, since=_since(sources, change))


def _since(sources: Mapping[ChangeOfPlan, Value], change: ChangeOfPlan) -> object:
    return sources[change].at if change in sources else None


def _logged_histories() -> tuple[Mapping[str, History], Mapping[str, Mapping[ChangeOfPlan, Value]]]:
    """Return the history of each member that the log gives, and the source of each change."""
    histories: dict[str, History] = {}
    sources: dict[str, dict[ChangeOfPlan, Value]] = {}
    for member, change, value in _logged_changes():
        before = histories.get(member, NO_HISTORY)
        if value is None:
            histories[member] = member_plans.without(before, change.since)
            continue
        histories[member] = member_plans.with_change(before, change)
        sources.setdefault(member, {})[change] = value
    return histories, sources


def _logged_changes() -> Iterator[tuple[str, ChangeOfPlan, Value | None]]:
    """Yield each change of a plan, with its source; None: the change was cancelled."""
    verbs = (member_plans.VERB, member_plans.CANCELLED)
    changes = Change.objects.filter(kind="member", verb__in=verbs).order_by("pk")
    columns = "key", "verb", "before", "after", "at", "actor"
    for member, verb, before, after, at, actor in changes.values_list(*columns).iterator(PAGE):
        is_cancelled = verb == member_plans.CANCELLED
        found = before if is_cancelled else after
        try:
            change = ChangeOfPlan(date.fromisoformat(found["since"]), str(found["plan"]))
        except (TypeError, KeyError, ValueError):
            continue  # somebody changed the log, which its seal shows
        yield member, change, None if is_cancelled else Value(change.plan, at, actor)


def _check_references(report: Report) -> None:
    """Compare what other programs call a payer: the log has all references of a payer with each change."""
    wanted: dict[tuple[str, str], Value] = {}
    changes = Change.objects.filter(kind="payer", after__has_key=_REFERENCES).order_by("pk")
    for payer, after, at, actor in changes.values_list("key", "after", "at", "actor").iterator(PAGE):
        for known in [one for one in wanted if one[0] == payer]:
            del wanted[known]
        for line in after[_REFERENCES] if isinstance(after[_REFERENCES], list) else ():
            sink, _colon, reference = str(line).partition(": ")
            wanted[payer, sink] = Value(reference, at, actor)
    stored = PayerReference.objects.order_by("payer_id", "sink").values_list("payer_id", "sink", "reference")
    for payer, sink, reference in stored.iterator(PAGE):
        report.compared[_REFERENCE] += 1
        row, value = f"{payer}/{sink}", wanted.pop((payer, sink), None)
        if value is None:
            report.added(_REFERENCE, row, logged.NOT_LOGGED)
        elif value.value != reference:
            report.changed(_REFERENCE, row, "reference", reference, value.value, since=value.at)
    for (payer, sink), value in wanted.items():
        logged.report_missing(report, _REFERENCE, f"{payer}/{sink}", [value])


def _check_terms(report: Report) -> None:
    known = set()
    for row in ChargeTerms.objects.order_by("pk").iterator(PAGE):
        report.compared["chargeterms"] += 1
        known.add(row.pk)
        digest = hashlib.sha256(json.dumps(row.snapshot, sort_keys=True).encode()).hexdigest()
        if digest != row.digest:  # either was changed
            report.changed("chargeterms", row.pk, "digest or snapshot", row.digest, digest)
    named = Charge.objects.exclude(terms_id=None).order_by().values_list("terms_id", flat=True).distinct()
    for pk in sorted(set(named) - known):
        report.missing("chargeterms", pk, "charges name it")

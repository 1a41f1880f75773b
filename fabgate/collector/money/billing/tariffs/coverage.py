"""Finds the machines for which no rule sets a price, and the rules that never count. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import NamedTuple

from fabgate.collector.money.billing.tariffs import rules as rules_
from fabgate.collector.money.billing.tariffs.rules import Rule


class MachineInCategory(NamedTuple):
    """A machine and its category."""

    machine: str
    category: str


class Unpriced(NamedTuple):
    """A machine without a price for members without a plan."""

    machine: str
    #: The first day with a price; None if there is none.
    until: date | None
    #: Plans whose members have a price before that day.
    plans: tuple[str, ...]


def unpriced(places: Iterable[MachineInCategory], rules: Sequence[Rule], first: date) -> list[Unpriced]:
    """Return the machines that have no price on some day from `first` on."""
    found = []
    for place in places:
        here = [rule for rule in rules if rule.machine in ("", place.machine) and rule.category in ("", place.category)]
        until = min((rule.valid_from for rule in here if not rule.plan), default=None)
        if until is None or until > first:
            plans = {rule.plan for rule in here if rule.plan and (until is None or rule.valid_from < until)}
            found.append(Unpriced(place.machine, until, tuple(sorted(plans))))
    return found


def counting(
    places: Iterable[MachineInCategory], plans: Iterable[str], rules: Sequence[Rule], day: date
) -> Collection[int]:
    """Return the ids of the rules that apply on a day to at least one machine and plan, or to no plan."""
    named = ["", *plans]
    found = set()
    for place in places:
        here = [rule for rule in rules if rule.machine in ("", place.machine) and rule.category in ("", place.category)]
        for plan in named:
            rule = rules_.find(here, place.machine, place.category, plan, day)
            if rule is not None:
                found.add(rule.id)
    return found

"""Which tariff applies to a session: the most specific rule that is in force on the day of its end. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from fabgate.pricing.tariffs import Tariff

#: What a rule bills unless it names other purposes. Maintenance and training cost nothing unless a rule names them.
BILLED_PURPOSES: Final = frozenset({"own", "group"})
#: The id of a rule that is only tried.
NOT_STORED: Final = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A tariff, and where it applies: at one machine, in one category of machines, or everywhere; for one plan or all."""

    id: int
    tariff: Tariff
    valid_from: date
    #: The name of a machine, or "".
    machine: str = ""
    #: A category of machines, or "". A rule names a machine or a category, not both.
    category: str = ""
    #: The name of a plan, or "" for members of every plan and of none.
    plan: str = ""
    purposes: frozenset[str] = BILLED_PURPOSES
    vat_code: str = ""

    def applies(self, machine: str, category: str, plan: str, day: date) -> bool:
        """Return whether it applies to a session at `machine` that ended on `day`, of a member with `plan`."""
        asked = ((self.machine, machine), (self.category, category), (self.plan, plan))
        return self.valid_from <= day and all(own in ("", other) for own, other in asked)

    @property
    def rank(self) -> tuple[bool, bool, bool, date, int]:
        """Of the rules that apply, the one with the highest rank counts: the place comes before the plan."""
        return bool(self.machine), bool(self.category), bool(self.plan), self.valid_from, self.id


class Lookup:
    """Finds the rules for many sessions: those for one machine, category and plan are picked out once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = list(rules)
        #: The highest rank first.
        self._picked: dict[tuple[str, str, str], list[Rule]] = {}

    def find(self, machine: str, category: str, plan: str, day: date) -> Rule | None:
        """Return the same as the function `find`."""
        key = machine, category, plan
        if key not in self._picked:
            applying = [rule for rule in self._rules if rule.applies(*key, date.max)]
            self._picked[key] = sorted(applying, key=lambda rule: rule.rank, reverse=True)
        return next((rule for rule in self._picked[key] if rule.valid_from <= day), None)


def find(rules: Iterable[Rule], machine: str, category: str, plan: str, day: date) -> Rule | None:
    """Return the rule for a session, or None: it has no tariff. `category` is the machine's."""
    applying = [rule for rule in rules if rule.applies(machine, category, plan, day)]
    return max(applying, key=lambda rule: rule.rank, default=None)

"""Rates all sessions of one payer in one month: what each costs, and why. Pure; no Django.

Free minutes and daily caps depend on the sessions before, so a month is rated as a whole, in the order in which the
sessions began. The same sessions, rules and plans always give the same result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from fabgate.collector.money.billing.tariffs import rules
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.pricing import price as pricing
from fabgate.pricing.price import Price, Use

#: The class of a session. Each session has exactly one; docs/billing.md says in which order they are tried.
BILLED: Final = "billed"
FREE: Final = "free"
GRACE: Final = "grace"
WAIVED: Final = "waived"
IN_REVIEW: Final = "in-review"
NO_TARIFF: Final = "no-tariff"
NOT_BILLABLE: Final = "not-billable"
CLASSES: Final = (BILLED, FREE, GRACE, WAIVED, IN_REVIEW, NO_TARIFF, NOT_BILLABLE)

_BY_OUTCOME: Final = {pricing.PRICED: BILLED, pricing.FREE: FREE, pricing.GRACE: GRACE}
EMERGENCY: Final = "emergency:"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a member's plan gives each month."""

    name: str
    #: Free time for each payer and user in each month, in minutes.
    free_minutes: int = 0
    discount_percent: Decimal = Decimal(0)


#: The plan of a member who has none.
NO_PLAN: Final = Plan("")


class Facts(NamedTuple):
    """What rating knows of a session: the values that count, after corrections."""

    session: str
    #: A member's id, ``group:N``, or ``emergency:LABEL``.
    user: str
    machine: str
    machine_category: str
    #: The name of the user's plan on the day of the end, or "".
    plan: str
    purpose: str
    #: With time zones. The start is None if it has no date.
    start: datetime | None
    end: datetime
    counted_ms: int
    running_ms: int
    in_review: bool = False
    waived: bool = False


class Rated(NamedTuple):
    """A session with its class, and what it costs in minor units of the currency."""

    facts: Facts
    kind: str
    amount_minor: int = 0
    #: The rule that applies, also if the session has no price.
    rule: Rule | None = None
    price: Price | None = None
    #: What it uses of the daily cap, in minor units.
    cap_minor: int = 0

    @property
    def free_ms(self) -> int:
        """Return how much free time it uses."""
        return self.price.free_ms if self.price else 0


class Used(NamedTuple):
    """What sessions have used of a month's free time and daily caps."""

    #: Milliseconds, by user.
    free_ms: Mapping[str, int]
    #: Minor units, by user, machine and day.
    cap_minor: Mapping[tuple[str, str, date], int]


NOTHING_USED: Final = Used({}, {})


class Terms(NamedTuple):
    """What a site bills by."""

    rules: Sequence[Rule]
    plans: Mapping[str, Plan]
    zone: ZoneInfo
    #: The decimals of the currency: 2 for EUR.
    digits: int


def rate(
    sessions: Iterable[Facts],
    terms: Terms,
    late: Iterable[Facts] = (),
    *,
    used: Used = NOTHING_USED,
    lookup: rules.Lookup | None = None,
) -> list[Rated]:
    """Rate the sessions that one payer pays for in one month, by the day of their ends.

    `late` are sessions of the month that became known after it was closed, in the order in which they became known.
    They get the free minutes and the caps that the others left, so that no amount before them changes. `used` is what
    sessions that were charged before have used. `lookup` are the rules of `terms`, for a caller who rates many payers.
    Raises ValueError for a time without a zone, and KeyError for a plan that `terms` does not have.
    """
    month = _Month(terms, lookup or rules.Lookup(terms.rules), used)
    return [month.rate(facts) for facts in (*_in_order(sessions), *late)]


def _in_order(sessions: Iterable[Facts]) -> list[Facts]:
    """Return sessions in the order of their starts, and then of their ids; one without a start goes by its end."""
    return sorted(sessions, key=lambda facts: (_utc(facts.start or facts.end), facts.session))


def _utc(moment: datetime) -> datetime:
    """Return a moment in UTC: in one and the same zone, Python compares what the clocks on the wall show."""
    if moment.tzinfo is None:
        raise ValueError(f"found the time {moment} without a zone")
    return moment.astimezone(UTC)


class _Month:
    """The free time and the caps that are used up as the month goes on."""

    def __init__(self, terms: Terms, lookup: rules.Lookup, used: Used) -> None:
        self._terms, self._rules = terms, lookup
        self._free_used: dict[str, int] = defaultdict(int, used.free_ms)
        self._cap_used: dict[tuple[str, str, date], int] = defaultdict(int, used.cap_minor)

    def rate(self, facts: Facts) -> Rated:
        day = _utc(facts.end).astimezone(self._terms.zone).date()
        rule = self._rules.find(facts.machine, facts.machine_category, facts.plan, day)
        kind = _class_without_price(facts, rule)
        if kind is not None or rule is None:
            return Rated(facts, kind or NO_TARIFF, rule=rule)
        plan = self._terms.plans[facts.plan] if facts.plan else NO_PLAN
        key = facts.user, facts.machine, day
        price = pricing.price(
            rule.tariff,
            Use(facts.counted_ms, facts.running_ms, facts.start),
            self._terms.zone,
            free_ms=max(0, plan.free_minutes * 60_000 - self._free_used[facts.user]),
            cap_used=pricing.of_minor_units(self._cap_used[key], self._terms.digits),
            discount_percent=plan.discount_percent,
        )
        self._free_used[facts.user] += price.free_ms
        # Rounded, so that what a person sees never adds up to more than the cap.
        exact = price.under_cap
        cap_minor = pricing.minor_units(exact, self._terms.digits)
        self._cap_used[key] += cap_minor
        amount_minor = pricing.minor_units(exact - price.discounted, self._terms.digits)
        return Rated(facts, _BY_OUTCOME[price.outcome], amount_minor, rule, price, cap_minor)


def _class_without_price(facts: Facts, rule: Rule | None) -> str | None:
    """Return the class of a session that is not priced, or None."""
    if facts.user.startswith(EMERGENCY):
        return NOT_BILLABLE
    if facts.purpose not in (rules.BILLED_PURPOSES if rule is None else rule.purposes):
        return NOT_BILLABLE
    if facts.waived:
        return WAIVED
    if facts.in_review:
        return IN_REVIEW
    return NO_TARIFF if rule is None else None

"""What each session of a month costs, by docs/billing.md alone: slow, exact and without any shortcut.

Time is walked in slices, and each slice asks the clock on the wall which price counts. Numbers are fractions. Only the
data types of fabgate are used here, none of its functions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo

from fabgate.collector.money.billing.rating import Facts, Plan, Terms
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.pricing.tariffs import Peak, Tariff

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
MINUTE_MS = 60_000
#: What is billed where no rule names purposes.
BILLED_PURPOSES = frozenset({"own", "group"})

#: A piece of a session: its price per minute and its milliseconds.
Piece = tuple[Fraction, int]


def judge(sessions: Iterable[Facts], terms: Terms, late: Iterable[Facts] = ()) -> dict[str, tuple[str, int]]:
    """Class and amount of each session, by its id. All sessions are of one month, and one payer pays for them."""
    account = Account(terms)
    in_order = sorted(sessions, key=lambda facts: (millisecond(facts.start or facts.end), facts.session))
    return {facts.session: account.take(facts) for facts in (*in_order, *late)}


class Account:
    """A month of one payer: what each user took of the free minutes, and each day of the caps."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.freed_ms: dict[str, int] = defaultdict(int)
        self.spent: dict[tuple[str, str, date], Fraction] = defaultdict(Fraction)

    def take(self, facts: Facts) -> tuple[str, int]:
        """Class and amount of the next session."""
        rule = rule_of(facts, self.terms)
        if facts.user.startswith("emergency:") or facts.purpose not in (rule.purposes if rule else BILLED_PURPOSES):
            return "not-billable", 0
        if facts.waived:
            return "waived", 0
        if facts.in_review:
            return "in-review", 0
        if rule is None:
            return "no-tariff", 0
        if facts.counted_ms <= rule.tariff.grace_s * 1000:
            return "grace", 0
        return self.price(facts, rule.tariff)

    def price(self, facts: Facts, tariff: Tariff) -> tuple[str, int]:
        plan = self.terms.plans.get(facts.plan, Plan(facts.plan))
        pieces = with_step(pieces_of(facts, tariff, self.terms.zone), tariff.step_s * 1000)
        cost = self.time_cost(pieces, facts.user, plan.free_minutes * MINUTE_MS)
        asked = max(cost + Fraction(tariff.session_fee), Fraction(tariff.minimum))
        if cost == 0 and (has_price(tariff) or asked == 0):
            return "free", 0
        cost = asked

        key = (facts.user, facts.machine, day_of(facts, self.terms.zone))
        if tariff.daily_cap is not None:
            left = max(Fraction(tariff.daily_cap) - self.spent[key], Fraction(0))
            cost = min(cost, left)
        unit = 10**self.terms.digits
        self.spent[key] += Fraction(half_up(cost * unit), unit)

        cost -= cost * Fraction(plan.discount_percent) / 100
        return "billed", half_up(cost * 10**self.terms.digits)

    def time_cost(self, pieces: Sequence[Piece], user: str, allowed_ms: int) -> Fraction:
        """What the time costs that is not free. Uses up free minutes."""
        cost = Fraction(0)
        for price, ms in pieces:
            if price == 0:
                continue
            free = min(ms, max(allowed_ms - self.freed_ms[user], 0))
            self.freed_ms[user] += free
            cost += price * Fraction(ms - free, MINUTE_MS)
        return cost


def rule_of(facts: Facts, terms: Terms) -> Rule | None:
    """The rule that counts: all three comparisons, one after the other."""
    day = day_of(facts, terms.zone)
    rules = [
        rule
        for rule in terms.rules
        if rule.machine in {"", facts.machine}
        and rule.category in {"", facts.machine_category}
        and rule.plan in {"", facts.plan}
        and rule.valid_from <= day
    ]
    rules = (
        [rule for rule in rules if rule.machine]
        or [rule for rule in rules if rule.category]
        or [rule for rule in rules if not rule.machine and not rule.category]
    )
    rules = [rule for rule in rules if rule.plan] or rules
    newest = max((rule.valid_from for rule in rules), default=None)
    found = [rule for rule in rules if rule.valid_from == newest]
    assert len(found) < 2, "the document does not say which one counts"
    return found[0] if found else None


def pieces_of(facts: Facts, tariff: Tariff, zone: ZoneInfo) -> list[Piece]:
    """The session's time, in pieces of one price each."""
    if tariff.charged_for == "running":
        running_ms = min(facts.running_ms, facts.counted_ms)
        pieces = [(Fraction(tariff.price), running_ms)]
        if tariff.idle_price:
            pieces.append((Fraction(tariff.idle_price), facts.counted_ms - running_ms))
        return [(price, ms) for price, ms in pieces if ms]

    if facts.start is None:
        return [(Fraction(tariff.price), facts.counted_ms)] if facts.counted_ms else []

    # All windows change at whole minutes, and so do the clocks of all zones: no price changes within a slice.
    ticks = {moment.second or moment.microsecond for peak in tariff.peaks for moment in (peak.start, peak.end)}
    assert ticks <= {0}, "slices would have to be shorter"
    at = millisecond(facts.start)
    end = at + facts.counted_ms
    pieces = []
    while at < end:
        after = min(at - at % MINUTE_MS + MINUTE_MS, end)
        pieces.append((price_at((EPOCH + at * MS).astimezone(zone), tariff), after - at))
        at = after
    return pieces


def price_at(wall: datetime, tariff: Tariff) -> Fraction:
    return Fraction(
        next((peak.price for peak in tariff.peaks if shows(wall.weekday(), wall.time(), peak)), tariff.price)
    )


def shows(weekday: int, clock: time, peak: Peak) -> bool:
    """Whether a clock on the wall that shows this time is inside the window."""
    today, yesterday = weekday in peak.days, (weekday - 1) % 7 in peak.days
    if peak.start < peak.end:
        return today and peak.start <= clock < peak.end
    return (today and clock >= peak.start) or (yesterday and clock < peak.end)


def with_step(pieces: list[Piece], step_ms: int) -> list[Piece]:
    """The pieces with the added time in the last one. Nothing is added to nothing."""
    if not pieces:
        return []
    added_ms = -sum(ms for _, ms in pieces) % step_ms
    *others, (price, ms) = pieces
    return [*others, (price, ms + added_ms)]


def has_price(tariff: Tariff) -> bool:
    """Whether a price per minute of the tariff is above 0."""
    others = [tariff.idle_price] if tariff.charged_for == "running" else [peak.price for peak in tariff.peaks]
    return any(price > 0 for price in (tariff.price, *others))


def day_of(facts: Facts, zone: ZoneInfo) -> date:
    return facts.end.astimezone(zone).date()


def millisecond(moment: datetime) -> int:
    """The milliseconds since 1970: a number that only grows, also while clocks go back."""
    return (moment.astimezone(UTC) - EPOCH) // MS


def half_up(number: Fraction) -> int:
    return floor(number + Fraction(1, 2))

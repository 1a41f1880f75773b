"""Explains what a session costs, step by step, in words and numbers that a person can check by hand."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from fabgate.collector.billing import rating
from fabgate.collector.billing.currencies import decimal_text
from fabgate.collector.billing.rating import Rated
from fabgate.collector.billing.rules import NOT_STORED
from fabgate.pricing.price import Segment

_WHY: Final = {
    rating.NOT_BILLABLE: "not billable: an emergency badge, or a purpose that the rule does not bill",
    rating.WAIVED: "waived",
    rating.IN_REVIEW: "in review: it is priced once a person has checked it",
    rating.NO_TARIFF: "no rule applies to this machine, plan and day",
}
#: Decimals of an exact amount that does not end, such as a third of a cent.
_SHOWN: Final = Decimal("0.000001")


def steps(rated: Rated, zone: ZoneInfo, currency: str, digits: int) -> Iterator[str]:
    """Yield one line a step; the last one is the amount."""
    if rated.price is None or rated.rule is None:
        yield _WHY[rated.kind]
        return
    tariff, price = rated.rule.tariff, rated.price
    if rated.rule.id != NOT_STORED:
        yield f"rule {rated.rule.id}, in force from {rated.rule.valid_from}"
    if rated.kind == rating.GRACE:
        yield f"{_time(rated.facts.counted_ms)} is not longer than the grace time, {tariff.grace_s} s: 0 {currency}"
        return
    for segment in price.segments:
        yield _segment(segment, zone)
    if rated.kind == rating.FREE and tariff.prices_time:
        yield f"all of it is free, so there is no fee and no minimum: 0 {currency}"
        return
    running = price.time
    for name, change in (
        ("session fee", price.fee),
        (f"up to the minimum of {tariff.minimum:f}", price.topped_up),
        (f"down to the daily cap of {tariff.daily_cap}", -price.capped),
        ("discount of the plan", -price.discounted),
    ):
        if change:
            running += change
            yield f"{name}: {'+' if change > 0 else '-'} {_exact(abs(change))} = {_exact(running)}"
    yield f"rounded: {decimal_text(rated.amount_minor, digits)} {currency}"


def _segment(segment: Segment, zone: ZoneInfo) -> str:
    """Return a stretch as ``on from 16:30: 30:00 min at 0.1 = 3``."""
    since = f" from {segment.since.astimezone(zone):%H:%M:%S}" if segment.since else ""
    added = f", of which {_time(segment.added_ms)} added by the step" if segment.added_ms else ""
    free = f", of which {_time(segment.free_ms)} free" if segment.free_ms else ""
    return f"{segment.kind}{since}: {_time(segment.ms)}{added}{free}, at {segment.price:f} a minute = {_exact(segment.amount)}"


def _time(ms: int) -> str:
    """Return a duration as h:mm:ss, with the milliseconds if there are any."""
    seconds, rest = divmod(ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" + (f".{rest:03d}" if rest else "")


def _exact(amount: Fraction) -> str:
    """Return an amount in full if it ends within six decimals, or else with '≈'."""
    found = (Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(_SHOWN, ROUND_HALF_EVEN)
    text = f"{found.normalize():f}" if found else "0"
    return text if Fraction(found) == amount else f"≈ {text}"

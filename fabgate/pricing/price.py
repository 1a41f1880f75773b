"""Prices the time of one session under one tariff, exactly.

Pure and on the ground floor: the cost on a panel, the charges of a month and the simulator all come from here. Amounts
are fractions until ``minor_units`` rounds them once, at the end. docs/billing.md explains each step with examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from fabgate.pricing import hours
from fabgate.pricing.tariffs import ON, RUNNING, Tariff

#: What a session comes to: an amount, nothing because it was short enough to be a mistake, or nothing because all of
#: its time was free.
PRICED, GRACE, FREE = "priced", "grace", "free"

_MINUTE_MS: Final = 60_000


class Use(NamedTuple):
    """The time of a session that counts, in milliseconds. ``start`` has a time zone; it is needed for peaks only."""

    counted_ms: int
    running_ms: int = 0
    start: datetime | None = None


class Segment(NamedTuple):
    """A stretch of a session at one price per minute. ``added_ms`` of its time are what the step added."""

    #: ``on``, ``running`` or ``idle``
    kind: str
    #: When it started; None if that is not known.
    since: datetime | None
    ms: int
    price: Decimal
    added_ms: int = 0
    #: How much of it was free.
    free_ms: int = 0

    @property
    def amount(self) -> Fraction:
        """Return what the time that is not free costs."""
        return Fraction(self.price) * (self.ms - self.free_ms) / _MINUTE_MS


class Price(NamedTuple):
    """What a session costs, and each step that leads there; amounts are exact."""

    outcome: str
    segments: tuple[Segment, ...] = ()
    fee: Fraction = Fraction(0)
    #: What the minimum added.
    topped_up: Fraction = Fraction(0)
    #: What the daily cap took off.
    capped: Fraction = Fraction(0)
    #: What the discount took off.
    discounted: Fraction = Fraction(0)

    @property
    def time(self) -> Fraction:
        """Return what the time costs."""
        return sum((segment.amount for segment in self.segments), Fraction(0))

    @property
    def under_cap(self) -> Fraction:
        """Return what counts towards the daily cap: the amount before the discount."""
        return self.time + self.fee + self.topped_up - self.capped

    @property
    def amount(self) -> Fraction:
        """Return the exact amount."""
        return self.under_cap - self.discounted

    @property
    def free_ms(self) -> int:
        """Return how much of the free time it used."""
        return sum(segment.free_ms for segment in self.segments)


def price(
    tariff: Tariff,
    use: Use,
    zone: ZoneInfo,
    *,
    free_ms: int = 0,
    cap_used: Fraction = Fraction(0),
    discount_percent: Decimal = Decimal(0),
) -> Price:
    """Price one session.

    `free_ms` is the free time that its user has left this month, and `cap_used` what counts towards today's cap so far.
    """
    if use.counted_ms <= tariff.grace_s * 1_000:
        return Price(GRACE)
    segments = tuple(_free(_rounded_up(_segments(tariff, use, zone), tariff.step_s * 1_000), free_ms))
    cost = sum((segment.amount for segment in segments), Fraction(0))
    if not cost and tariff.prices_time:
        return Price(FREE, segments)
    fee = Fraction(tariff.session_fee)
    topped_up = max(Fraction(0), Fraction(tariff.minimum) - cost - fee)
    capped = Fraction(0)
    if tariff.daily_cap is not None:
        cap_left = max(Fraction(0), Fraction(tariff.daily_cap) - cap_used)
        capped = max(Fraction(0), cost + fee + topped_up - cap_left)
    discounted = (cost + fee + topped_up - capped) * Fraction(discount_percent) / 100
    outcome = PRICED if cost + fee + topped_up else FREE
    return Price(outcome, segments, fee, topped_up, capped, discounted)


def minor_units(amount: Fraction, digits: int) -> int:
    """Round money once: half up, to the currency's minor unit (`digits` decimals). Amounts are never negative."""
    return int((amount * 10**digits * 2 + 1) // 2)


def _segments(tariff: Tariff, use: Use, zone: ZoneInfo) -> Iterator[Segment]:
    """Cut the time where its price changes. Idle time that costs nothing is not billed time, so it is left out."""
    if tariff.basis == RUNNING:
        running_ms = min(use.running_ms, use.counted_ms)
        if running_ms:
            yield Segment(RUNNING, None, running_ms, tariff.price)
        if tariff.idle_price and use.counted_ms > running_ms:
            yield Segment("idle", None, use.counted_ms - running_ms, tariff.idle_price)
    elif not tariff.peaks or use.start is None:
        yield Segment(ON, use.start, use.counted_ms, tariff.price)
    else:
        since = use.start.astimezone(UTC)
        since -= timedelta(microseconds=since.microsecond % 1_000)
        until = since + timedelta(milliseconds=use.counted_ms)
        for at, after, found in hours.by_price(tariff, since, until, zone):
            yield Segment(ON, at, hours.milliseconds(after - at), found)


def _rounded_up(segments: Iterator[Segment], step_ms: int) -> list[Segment]:
    """Round the whole time up to the step. The time that this adds has the price of the last segment."""
    found = list(segments)
    added = -sum(segment.ms for segment in found) % step_ms
    if found and added:
        found[-1] = found[-1]._replace(ms=found[-1].ms + added, added_ms=added)
    return found


def _free(segments: list[Segment], free_ms: int) -> Iterator[Segment]:
    """Use up free time in the order of time. Time that costs nothing uses none of it."""
    for segment in segments:
        free = min(free_ms, segment.ms) if segment.price else 0
        free_ms -= free
        yield segment._replace(free_ms=free)

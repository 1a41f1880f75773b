"""Prices the time of one session under one tariff, exactly.

Pure and on the ground floor: the cost on a panel, the charges of a month and the simulator all come from here. Amounts
are whole numbers of *parts*, so that nothing is rounded before ``minor_units`` rounds once, at the end. docs/billing.md
explains each step with examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from fabgate.pricing import hours
from fabgate.pricing.tariffs import ON, RUNNING, Tariff

#: What a session comes to: an amount, nothing because it was short enough to be a mistake, or nothing because all of
#: its time was free.
PRICED, GRACE, FREE = "priced", "grace", "free"

_MINUTE_MS: Final = 60_000
_MILLION: Final = 1_000_000
#: Hundredths of a percent.
_WHOLE: Final = 10_000
#: The parts of one unit of the currency. A millisecond at a price per minute of six decimals, less a discount of a
#: hundredth of a percent, is a whole number of them. (As fractions, amounts took most of the time of rating a month.)
PARTS: Final = _MINUTE_MS * _MILLION * _WHOLE


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
    def amount(self) -> int:
        """Return what the time that is not free costs, in parts."""
        return parts(self.price) // _MINUTE_MS * (self.ms - self.free_ms)


class Price(NamedTuple):
    """The price of a session, and each step of its computation; amounts are exact, in parts."""

    outcome: str
    segments: tuple[Segment, ...] = ()
    #: The price of the time.
    time: int = 0
    fee: int = 0
    #: What the minimum added.
    topped_up: int = 0
    #: What the daily cap took off.
    capped: int = 0
    #: What the discount took off.
    discounted: int = 0

    @property
    def under_cap(self) -> int:
        """Return what counts towards the daily cap: the amount before the discount."""
        return self.time + self.fee + self.topped_up - self.capped

    @property
    def amount(self) -> int:
        """Return the exact amount."""
        return self.under_cap - self.discounted

    @property
    def free_ms(self) -> int:
        """Return how much of the free time it used."""
        return sum([segment.free_ms for segment in self.segments])


def price(
    tariff: Tariff,
    use: Use,
    zone: ZoneInfo,
    *,
    free_ms: int = 0,
    cap_used: int = 0,
    discount_percent: Decimal = Decimal(0),
) -> Price:
    """Price one session.

    `free_ms` is the free time that its user has left this month, and `cap_used` what counts towards today's cap so far,
    in parts. Raises ValueError for a price with more than six decimals, and a discount with more than two.
    """
    if use.counted_ms <= tariff.grace_s * 1_000:
        return Price(GRACE)
    segments = _free(_rounded_up(_segments(tariff, use, zone), tariff.step_s * 1_000), free_ms)
    time = sum([segment.amount for segment in segments])
    if not time and tariff.prices_time:
        return Price(FREE, segments)
    fee = parts(tariff.session_fee)
    topped_up = max(0, parts(tariff.minimum) - time - fee)
    cost, capped = time + fee + topped_up, 0
    if tariff.daily_cap is not None:
        cap_left = max(0, parts(tariff.daily_cap) - cap_used)
        capped = max(0, cost - cap_left)
    discounted = (cost - capped) // _WHOLE * _hundredths(discount_percent)
    return Price(PRICED if cost else FREE, segments, time, fee, topped_up, capped, discounted)


def price_at(tariff: Tariff, moment: datetime | None, zone: ZoneInfo) -> Decimal:
    """Return the price per minute at a moment, before the discount; None: a moment outside peak hours."""
    if moment is None or not tariff.peaks:
        return tariff.price
    return tariff.price_when(moment.astimezone(zone).replace(tzinfo=None))


@lru_cache(maxsize=1_024)
def parts(amount: Decimal) -> int:
    """Return an amount of at most six decimals in parts. Raises ValueError for one with more."""
    return _whole(amount, _MILLION, "an amount with at most 6 decimals") * (PARTS // _MILLION)


def money(amount: int) -> Fraction:
    """Return an amount in parts as one of the currency's main unit, exactly."""
    return Fraction(amount, PARTS)


def minor_units(amount: int, digits: int) -> int:
    """Round parts once: half up, to the currency's minor unit (`digits` decimals). Amounts are never negative."""
    scale: int = 10**digits
    return (2 * amount * scale + PARTS) // (2 * PARTS)


def of_minor_units(minor: int, digits: int) -> int:
    """Return an amount in minor units as parts. No currency has more than four decimals (ISO 4217)."""
    scale: int = 10**digits
    return minor * (PARTS // scale)


@lru_cache(maxsize=256)
def _hundredths(percent: Decimal) -> int:
    return _whole(percent, 100, "a discount with at most 2 decimals")


def _whole(number: Decimal, times: int, wanted: str) -> int:
    numerator, denominator = number.as_integer_ratio()
    found, rest = divmod(numerator * times, denominator)
    if rest:
        raise ValueError(f"found {number}, wanted {wanted}")
    return found


def _segments(tariff: Tariff, use: Use, zone: ZoneInfo) -> list[Segment]:
    """Cut the time where its price changes. Idle time that costs nothing is not billed time, so it is left out."""
    if tariff.charged_for == RUNNING:
        running_ms = min(use.running_ms, use.counted_ms)
        found = [Segment(RUNNING, None, running_ms, tariff.price)] if running_ms else []
        if tariff.idle_price and use.counted_ms > running_ms:
            found.append(Segment("idle", None, use.counted_ms - running_ms, tariff.idle_price))
        return found
    if not tariff.peaks or use.start is None:
        return [Segment(ON, use.start, use.counted_ms, tariff.price)]
    since = use.start.astimezone(UTC)
    since -= timedelta(microseconds=since.microsecond % 1_000)
    until = since + timedelta(milliseconds=use.counted_ms)
    return [
        Segment(ON, at, hours.milliseconds(after - at), found)
        for at, after, found in hours.by_price(tariff, since, until, zone)
    ]


def _rounded_up(segments: list[Segment], step_ms: int) -> list[Segment]:
    """Round the whole time up to the step. The time that this adds has the price of the last segment."""
    added = -sum([segment.ms for segment in segments]) % step_ms
    if segments and added:
        last = segments[-1]  # built anew: `_replace` takes as long as all the rest of a price
        segments[-1] = Segment(last.kind, last.since, last.ms + added, last.price, added, last.free_ms)
    return segments


def _free(segments: Sequence[Segment], free_ms: int) -> tuple[Segment, ...]:
    """Use up free time in the order of time. Time that costs nothing uses none of it."""
    if not free_ms:
        return tuple(segments)
    found = []
    for segment in segments:
        free = min(free_ms, segment.ms) if segment.price else 0
        free_ms -= free
        found.append(segment._replace(free_ms=free))
    return tuple(found)

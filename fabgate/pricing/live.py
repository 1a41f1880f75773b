"""Prices sessions at the machine: a tariff is prepared once, and a session then takes a few microseconds.

It comes to the same amounts as price.py, to the last minor unit, but explains nothing. Its arithmetic is in integers:
millionths of the main unit, times the milliseconds of a minute.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from fabgate.pricing import hours
from fabgate.pricing.mistakes import PRICE_DECIMALS
from fabgate.pricing.tariffs import RUNNING, Tariff

_MINUTE_MS: Final = 60_000
_DAY_MINUTES: Final = 24 * 60
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_WEEK_MS: Final = _WEEK_MINUTES * _MINUTE_MS
_HOUR: Final = timedelta(hours=1)
_MS: Final = timedelta(milliseconds=1)
#: A Monday at 00:00, on the wall.
_MONDAY: Final = datetime(2001, 1, 1)  # noqa: DTZ001


class LiveTariff:
    """A tariff without mistakes (mistakes.py), in a time zone, and in a currency with `digits` decimals.

    It knows no free minutes: every minute has its price. A daily cap counts as if nothing of it were used.
    """

    def __init__(self, tariff: Tariff, zone: ZoneInfo, digits: int, discount_percent: Decimal = Decimal(0)) -> None:
        self.tariff, self.zone = tariff, zone
        self._is_by_running = tariff.basis == RUNNING
        self._prices_time = tariff.prices_time
        self._grace_ms, self._step_ms = tariff.grace_s * 1_000, tariff.step_s * 1_000
        self._price, self._idle_price = _millionths(tariff.price), _millionths(tariff.idle_price)
        self._fee, self._minimum = (_millionths(one) * _MINUTE_MS for one in (tariff.session_fee, tariff.minimum))
        self._cap = None if tariff.daily_cap is None else _millionths(tariff.daily_cap) * _MINUTE_MS
        #: The milliseconds of the week, from Monday 00:00, from which each price applies; the first is 0.
        self._edges, self._prices = _week(tariff) if tariff.peaks else ([], [])
        part, whole = discount_percent.as_integer_ratio()
        # An amount times the one and divided by the other is in minor units. Both are doubled, to round half up.
        self._times: int = (100 * whole - part) * 10**digits * 2
        self._per: int = 100 * whole * 10**PRICE_DECIMALS * _MINUTE_MS

    def cost(self, counted_ms: int, running_ms: int = 0, start: datetime | None = None) -> int:
        """Return what a session costs, in minor units. `start` has a time zone; only peak hours need it."""
        if counted_ms <= self._grace_ms:
            return 0
        if self._is_by_running:
            lasts_ms, amount, last = self._by_running(min(running_ms, counted_ms), counted_ms)
        elif start is None or not self._edges:
            lasts_ms, amount, last = counted_ms, counted_ms * self._price, self._price
        else:
            amount, last = self._by_hours(start, counted_ms)
            lasts_ms = counted_ms
        amount += -lasts_ms % self._step_ms * last
        if not amount and self._prices_time:
            return 0
        amount = max(amount + self._fee, self._minimum)
        if self._cap is not None:
            amount = min(amount, self._cap)
        return (amount * self._times + self._per) // (2 * self._per)

    def price_at(self, moment: datetime | None) -> Decimal:
        """Return the price per minute at a moment, before the discount; None: a moment outside peak hours."""
        if moment is None or not self._edges:
            return self.tariff.price
        wall = moment.astimezone(self.zone).replace(tzinfo=None)
        return next((peak.price for peak in self.tariff.peaks if peak.covers(wall)), self.tariff.price)

    # Each of these returns what the time costs, and the price of its end: the time that the step adds has that price.

    def _by_running(self, running_ms: int, counted_ms: int) -> tuple[int, int, int]:
        """Also return the length of the billed time: idle time without a price does not count."""
        if self._idle_price and counted_ms > running_ms:
            amount = running_ms * self._price + (counted_ms - running_ms) * self._idle_price
            return counted_ms, amount, self._idle_price
        return running_ms, running_ms * self._price, self._price

    def _by_hours(self, start: datetime, lasts_ms: int) -> tuple[int, int]:
        start = start.astimezone(UTC)
        start -= timedelta(microseconds=start.microsecond % 1_000)
        end = start + lasts_ms * _MS
        if not self._clock_jumps(start, end):
            return self._through_week(start.astimezone(self.zone).replace(tzinfo=None), lasts_ms)
        amount = last = 0
        for since, until, price in hours.by_price(self.tariff, start, end, self.zone):
            last = _millionths(price)
            amount += hours.milliseconds(until - since) * last
        return amount, last

    def _clock_jumps(self, start: datetime, end: datetime) -> bool:
        """Return whether the clock on the wall may jump between two moments; no zone's does so twice within an hour."""
        zone, moment = self.zone, start
        offset = moment.astimezone(zone).utcoffset()
        while moment < end:
            moment += _HOUR
            if moment.astimezone(zone).utcoffset() != offset:
                return True
        return False

    def _through_week(self, wall: datetime, lasts_ms: int) -> tuple[int, int]:
        edges, prices, at, amount = self._edges, self._prices, (wall - _MONDAY) // _MS % _WEEK_MS, 0
        place = bisect_right(edges, at) - 1
        while True:
            until = edges[place + 1] if place + 1 < len(edges) else _WEEK_MS
            if lasts_ms <= until - at:
                return amount + lasts_ms * prices[place], prices[place]
            amount += (until - at) * prices[place]
            lasts_ms -= until - at
            place, at = (0, 0) if until == _WEEK_MS else (place + 1, until)


def _week(tariff: Tariff) -> tuple[list[int], list[int]]:
    """Return the milliseconds of the week at which the price changes, and the prices from there on."""
    edges, prices, at = [], [], 0
    for begins, ends, price in [*sorted(_windows(tariff)), (_WEEK_MINUTES, _WEEK_MINUTES, 0)]:
        if at < begins:
            edges.append(at * _MINUTE_MS)
            prices.append(_millionths(tariff.price))
        if begins < ends:
            edges.append(begins * _MINUTE_MS)
            prices.append(price)
        at = ends
    return edges, prices


def _windows(tariff: Tariff) -> Iterator[tuple[int, int, int]]:
    """Yield the peak hours of the week as [start, end) in minutes, with their prices. One over Sunday night is two."""
    for peak in tariff.peaks:
        start, end = (edge.hour * 60 + edge.minute for edge in (peak.start, peak.end))
        length, price = (end - start - 1) % _DAY_MINUTES + 1, _millionths(peak.price)
        for day in peak.days:
            begins = day * _DAY_MINUTES + start
            yield begins, min(begins + length, _WEEK_MINUTES), price
            if begins + length > _WEEK_MINUTES:
                yield 0, begins + length - _WEEK_MINUTES, price


def _millionths(amount: Decimal) -> int:
    return int(amount.scaleb(PRICE_DECIMALS))

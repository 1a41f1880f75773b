"""Cuts a stretch of time where the price changes, as the clock on the wall shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from fabgate.pricing.tariffs import Tariff

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


def by_price(
    tariff: Tariff, since: datetime, until: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime, Decimal]]:
    """Return [since, until) in UTC as stretches of one price each."""
    cuts = sorted({since, until, *(cut for cut in _cuts(tariff, since, until, zone) if since < cut < until)})
    stretch: tuple[datetime, datetime, Decimal] | None = None
    for at, after in pairwise(cuts):
        found = tariff.price_when(at.astimezone(zone).replace(tzinfo=None))
        if stretch is not None and stretch[2] == found:
            stretch = (stretch[0], after, found)
            continue
        if stretch is not None:
            yield stretch
        stretch = (at, after, found)
    if stretch is not None:
        yield stretch


def _cuts(tariff: Tariff, since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Return each moment at which the clock on the wall may enter or leave a window.

    That is each start and end of a window, twice if the clock shows it twice; and each moment at which the clock jumps,
    because it may jump into a window.
    """
    walls = frozenset([wall for peak in tariff.peaks for wall in (peak.start, peak.end)])
    day: date = since.astimezone(zone).date() - _DAY
    last: date = until.astimezone(zone).date() + _DAY
    while day <= last:
        yield from _cuts_of(day, walls, zone)
        yield from _jumps_of(day, zone)
        day += _DAY


@lru_cache(maxsize=1_024)
def _cuts_of(day: date, walls: frozenset[time], zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the moments of a day at which the clock shows one of `walls`. Many sessions end on the same days."""
    return tuple(
        datetime.combine(day, wall, zone).replace(fold=fold).astimezone(UTC) for wall in walls for fold in (0, 1)
    )


@lru_cache(maxsize=1_024)
def _jumps_of(day: date, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return the moments of a day in UTC at which the zone's offset changes. No zone changes it twice within an hour."""
    start = datetime.combine(day, time(), UTC)
    hours = [start + n * _HOUR for n in range(25)]
    return tuple(
        _jump(before, after, zone)
        for before, after in pairwise(hours)
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
    )


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the first millisecond of the new offset in (before, after] by halving."""
    old = before.astimezone(zone).utcoffset()
    early, late = 0, milliseconds(after - before)
    while late - early > 1:
        middle = (early + late) // 2
        is_old = (before + timedelta(milliseconds=middle)).astimezone(zone).utcoffset() == old
        early, late = (middle, late) if is_old else (early, middle)
    return before + timedelta(milliseconds=late)


def milliseconds(span: timedelta) -> int:
    """Return whole milliseconds."""
    return span // timedelta(milliseconds=1)

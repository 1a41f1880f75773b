"""What is wrong with a tariff that a person typed, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from fabgate.pricing.tariffs import BASES, RUNNING, Peak, Tariff

#: Decimals of a price per minute: a tenth of a cent an hour is 0.000017 a minute.
PRICE_DECIMALS: Final = 6
#: In the currency's main unit: no price, fee or cap is higher. It keeps all amounts within 64 bits.
HIGHEST: Final = Decimal(10_000_000)
LONGEST_GRACE_S: Final = 3_600
LONGEST_STEP_S: Final = 86_400
_WEEK_MINUTES: Final = 7 * 24 * 60


def tariff_mistakes(tariff: Tariff, digits: int) -> dict[str, str]:
    """Return what is wrong, by field; `digits` are the decimals of the currency. Empty: the tariff can be used."""
    return dict(_mistakes(tariff, digits))


def _mistakes(tariff: Tariff, digits: int) -> Iterator[tuple[str, str]]:
    amounts = {
        "price": (tariff.price, PRICE_DECIMALS),
        "idle_price": (tariff.idle_price, PRICE_DECIMALS),
        "session_fee": (tariff.session_fee, digits),
        "minimum": (tariff.minimum, digits),
    }
    if tariff.daily_cap is not None:
        amounts["daily_cap"] = tariff.daily_cap, digits
    for name, (amount, decimals) in amounts.items():
        if (wrong := _amount_mistake(amount, decimals)) is not None:
            yield name, wrong
    if tariff.basis not in BASES:
        yield "basis", f"found {tariff.basis!r}, wanted {' or '.join(BASES)}"
    elif tariff.basis != RUNNING and tariff.idle_price:
        yield (
            "idle_price",
            "found a price for idle time beside a price for all time; leave it out, or price running time",
        )
    elif tariff.basis == RUNNING and tariff.peaks:
        yield (
            "peaks",
            "found peak hours beside a price for running time; when a job ran is not known, so leave them out",
        )
    cap, minimum = tariff.daily_cap, tariff.minimum
    if cap is not None and cap.is_finite() and minimum.is_finite() and cap < minimum:
        yield "daily_cap", f"found {tariff.daily_cap}, wanted at least the minimum, {tariff.minimum}"
    if not 0 <= tariff.grace_s <= LONGEST_GRACE_S:
        yield "grace_s", f"found {tariff.grace_s}, wanted 0 to {LONGEST_GRACE_S} seconds"
    if not 1 <= tariff.step_s <= LONGEST_STEP_S:
        yield "step_s", f"found {tariff.step_s}, wanted 1 to {LONGEST_STEP_S} seconds"
    yield from _peak_mistakes(tariff.peaks)


def _amount_mistake(amount: Decimal, decimals: int) -> str | None:
    if not amount.is_finite() or not 0 <= amount <= HIGHEST:
        return f"found {amount}, wanted 0 to {HIGHEST}"
    if round(amount, decimals) != amount:
        return f"found {amount}, wanted at most {decimals} decimals"
    return None


def _peak_mistakes(peaks: tuple[Peak, ...]) -> Iterator[tuple[str, str]]:
    taken = bytearray(_WEEK_MINUTES)
    for number, peak in enumerate(peaks, 1):
        if (wrong := _amount_mistake(peak.price, PRICE_DECIMALS)) is not None:
            yield "peaks", f"peak hours {number}: {wrong}"
        if not peak.days or not peak.days <= set(range(7)):
            yield (
                "peaks",
                f"peak hours {number}: found the days {sorted(peak.days)}, wanted one or more of 0 (Monday) to 6",
            )
        elif any(edge.second or edge.microsecond or edge.tzinfo for edge in (peak.start, peak.end)):
            yield "peaks", f"peak hours {number}: found {peak.start} to {peak.end}, wanted whole minutes of local time"
        elif _take(taken, peak):
            yield "peaks", f"peak hours {number}: found hours that another line has too; each hour has one price"


def _take(taken: bytearray, peak: Peak) -> bool:
    """Mark the minutes of the week that a window covers; return whether any of them was marked already."""
    start, end = (edge.hour * 60 + edge.minute for edge in (peak.start, peak.end))
    length = (end - start - 1) % (24 * 60) + 1
    is_taken = False
    for day in peak.days:
        for minute in range(day * 24 * 60 + start, day * 24 * 60 + start + length):
            is_taken = is_taken or bool(taken[minute % _WEEK_MINUTES])
            taken[minute % _WEEK_MINUTES] = True
    return is_taken

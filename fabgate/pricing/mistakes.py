"""What is wrong with a tariff that a person typed, field by field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from fabgate.pricing.tariffs import CHARGED_FOR, RUNNING, Peak, Tariff

#: Decimals of a price per minute: a tenth of a cent an hour is 0.000017 a minute.
PRICE_DECIMALS: Final = 6
#: In the currency's main unit: no price, fee or cap is higher. It keeps all amounts within 64 bits.
HIGHEST: Final = Decimal(10_000_000)
LONGEST_GRACE_S: Final = 3_600
LONGEST_STEP_S: Final = 86_400
_WEEK_MINUTES: Final = 7 * 24 * 60


#: By code, what is wrong: for terminals. The pages have their own texts for these codes.
TEXTS: Final = {
    "range": "found {found}, wanted {least} to {most}",
    "decimals": "found {found}, wanted at most {most} decimals",
    "basis": "found {found!r}, wanted {wanted}",
    "idle-price-of-all-time": (
        "found a price for idle time beside a price for all time; leave it out, or price running time"
    ),
    "peaks-of-running-time": (
        "found peak hours beside a price for running time; when a job ran is not known, so leave them out"
    ),
    "cap-below-minimum": "found {found}, wanted at least the minimum, {minimum}",
    "seconds": "found {found}, wanted {least} to {most} seconds",
    "days": "found the days {found}, wanted one or more of 0 (Monday) to 6",
    "minutes": "found {start} to {end}, wanted whole minutes of local time",
    "overlap": "found hours that another line has too; each hour has one price",
}


class Mistake(NamedTuple):
    """A mistake in a field of a tariff."""

    field: str
    #: A key of `TEXTS`.
    code: str
    values: Mapping[str, Any]
    #: For a mistake in peak hours, their number, from 1 on.
    peak: int | None = None

    def __str__(self) -> str:
        """Return what is wrong, for a terminal."""
        text = TEXTS[self.code].format(**self.values)
        return text if self.peak is None else f"peak hours {self.peak}: {text}"


def tariff_mistakes(tariff: Tariff, digits: int) -> dict[str, str]:
    """Return what is wrong, by field; `digits` are the decimals of the currency. Empty: the tariff can be used."""
    texts: dict[str, list[str]] = defaultdict(list)
    for mistake in find(tariff, digits):
        texts[mistake.field].append(str(mistake))
    return {field: "; ".join(found) for field, found in texts.items()}


def find(tariff: Tariff, digits: int) -> Iterator[Mistake]:
    """Yield every mistake; `digits` are the decimals of the currency."""
    amounts = {
        "price": (tariff.price, PRICE_DECIMALS),
        "idle_price": (tariff.idle_price, PRICE_DECIMALS),
        "session_fee": (tariff.session_fee, digits),
        "minimum": (tariff.minimum, digits),
    }
    if tariff.daily_cap is not None:
        amounts["daily_cap"] = tariff.daily_cap, digits
    for name, (amount, decimals) in amounts.items():
        yield from _amount_mistakes(name, amount, decimals)
    if tariff.charged_for not in CHARGED_FOR:
        yield Mistake("basis", "basis", {"found": tariff.charged_for, "wanted": " or ".join(CHARGED_FOR)})
    elif tariff.charged_for != RUNNING and tariff.idle_price:
        yield Mistake("idle_price", "idle-price-of-all-time", {})
    elif tariff.charged_for == RUNNING and tariff.peaks:
        yield Mistake("peaks", "peaks-of-running-time", {})
    cap, minimum = tariff.daily_cap, tariff.minimum
    if cap is not None and cap.is_finite() and minimum.is_finite() and cap < minimum:
        yield Mistake("daily_cap", "cap-below-minimum", {"found": cap, "minimum": minimum})
    if not 0 <= tariff.grace_s <= LONGEST_GRACE_S:
        yield Mistake("grace_s", "seconds", {"found": tariff.grace_s, "least": 0, "most": LONGEST_GRACE_S})
    if not 1 <= tariff.step_s <= LONGEST_STEP_S:
        yield Mistake("step_s", "seconds", {"found": tariff.step_s, "least": 1, "most": LONGEST_STEP_S})
    yield from _peak_mistakes(tariff.peaks)


def _amount_mistakes(field: str, amount: Decimal, decimals: int, peak: int | None = None) -> Iterator[Mistake]:
    if not amount.is_finite() or not 0 <= amount <= HIGHEST:
        yield Mistake(field, "range", {"found": amount, "least": 0, "most": HIGHEST}, peak)
    elif round(amount, decimals) != amount:
        yield Mistake(field, "decimals", {"found": amount, "most": decimals}, peak)


def _peak_mistakes(peaks: tuple[Peak, ...]) -> Iterator[Mistake]:
    taken = bytearray(_WEEK_MINUTES)
    for number, peak in enumerate(peaks, 1):
        yield from _amount_mistakes("peaks", peak.price, PRICE_DECIMALS, number)
        if not peak.days or not peak.days <= set(range(7)):
            yield Mistake("peaks", "days", {"found": sorted(peak.days)}, number)
        elif any(edge.second or edge.microsecond or edge.tzinfo for edge in (peak.start, peak.end)):
            yield Mistake("peaks", "minutes", {"start": peak.start, "end": peak.end}, number)
        elif _take(taken, peak):
            yield Mistake("peaks", "overlap", {}, number)


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

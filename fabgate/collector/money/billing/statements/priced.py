"""How the amount of a charge was made, step by step: from the charge and the terms that it was made with. Pure.

A charge stores its time, how much of it was free, and what it took of the daily cap. With its terms, these give each
step again; no other session is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from fabgate.collector.money.billing.charges.record import Record
from fabgate.pricing import price as pricing
from fabgate.pricing import stored
from fabgate.pricing.price import Price, Segment, Use
from fabgate.pricing.tariffs import Tariff


class Priced(NamedTuple):
    """The price of a session with its steps. Of a reversal it is the price of the charge that it reverses."""

    tariff: Tariff
    price: Price
    discount_percent: Decimal
    #: What was left of the daily cap, in minor units, if that lowered the price.
    cap_left_minor: int | None = None

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Return the stretches of time that have a price per minute; none where a price is one per use."""
        return self.price.segments if self.tariff.prices_time else ()

    @property
    def billed_ms(self) -> int | None:
        """Return the time that has a price: rounded up to the step, less free time. None if no time has one."""
        return sum(segment.ms - segment.free_ms for segment in self.segments) if self.segments else None


class Prices(NamedTuple):
    """The prices in the terms of charges. Many charges share their terms, so these are read once."""

    tariff: Tariff
    without_cap: Tariff
    discount_percent: Decimal

    @classmethod
    def of(cls, snapshot: Mapping[str, Any]) -> Self:
        """Return the prices of stored terms."""
        tariff = stored.from_json(snapshot["rule"]["tariff"])
        return cls(tariff, replace(tariff, daily_cap=None), Decimal(snapshot["plan"]["discount_percent"]))


def of(charge: Record, prices: Prices, zone: ZoneInfo, digits: int) -> Priced | None:
    """Return the steps of a charge with a price. `prices` are those of its terms, `digits` the decimals of the currency.

    None if they do not give its amount: then a statement shows no steps rather than wrong ones, and `verify` names it.
    """
    sign = -1 if charge.reverses else 1
    use = Use(sign * charge.counted_ms, sign * charge.running_ms, charge.started_at)
    cap_minor, amount_minor = sign * charge.cap_minor, sign * charge.amount_minor

    tariffs: list[tuple[Tariff, int | None]] = [(prices.without_cap, None)]
    if prices.tariff.daily_cap is not None:  # where the cap lowered the price, the price is what was left of the cap
        left = Decimal(cap_minor).scaleb(-digits)
        tariffs.append((replace(prices.tariff, daily_cap=left), cap_minor))
    for tariff, cap_left_minor in tariffs:
        percent = prices.discount_percent
        found = pricing.price(tariff, use, zone, free_ms=sign * charge.free_ms, discount_percent=percent)
        exact = found.under_cap, found.amount
        if tuple(pricing.minor_units(one, digits) for one in exact) == (cap_minor, amount_minor):
            return Priced(prices.tariff, found, percent, cap_left_minor if found.capped else None)
    return None

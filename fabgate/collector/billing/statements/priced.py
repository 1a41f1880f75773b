"""How the amount of a charge was made, step by step: from the charge and the terms that it was made with. Pure.

A charge stores its time, how much of it was free, and what it took of the daily cap. With its terms, these give each
step again; no other session is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fabgate.collector.billing.charges.record import Record
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


def of(charge: Record, snapshot: Mapping[str, Any], zone: ZoneInfo, digits: int) -> Priced | None:
    """Return the steps of a charge with a price. `snapshot` has its terms, `digits` are the decimals of the currency.

    None if they do not give its amount: then a statement shows no steps rather than wrong ones, and `verify` names it.
    """
    tariff = stored.from_json(snapshot["rule"]["tariff"])
    percent = Decimal(snapshot["plan"]["discount_percent"])
    sign = -1 if charge.reverses else 1
    use = Use(sign * charge.counted_ms, sign * charge.running_ms, charge.started_at)
    cap_minor, amount_minor = sign * charge.cap_minor, sign * charge.amount_minor

    def priced(cap_left_minor: int | None) -> Priced:
        left = None if cap_left_minor is None else Decimal(cap_left_minor).scaleb(-digits)
        found = pricing.price(
            replace(tariff, daily_cap=left), use, zone, free_ms=sign * charge.free_ms, discount_percent=percent
        )
        return Priced(tariff, found, percent, cap_left_minor if found.capped else None)

    # Where the cap lowered the price, the price is what was left of the cap.
    for found in (priced(None), *([priced(cap_minor)] if tariff.daily_cap is not None else [])):
        exact = found.price.under_cap, found.price.amount
        if tuple(pricing.minor_units(one, digits) for one in exact) == (cap_minor, amount_minor):
            return found
    return None

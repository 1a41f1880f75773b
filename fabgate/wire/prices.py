"""Which prices does the panel of a machine show?"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from fabgate.errors import UsageError
from fabgate.wire.messages import Message

#: The format of ``Prices`` that this version writes and reads.
PRICES_FORMAT: Final = 1


class PeakPrice(Message, frozen=True, kw_only=True):
    """Hours with another price per minute: [start, end) in the time zone of the prices, ``HH:MM``; 0 is Monday."""

    days: list[int]
    start: str
    end: str
    price: str


class Tariff(Message, frozen=True, kw_only=True):
    """A tariff as docs/billing.md describes it. Money is decimal text in the currency's main unit, prices per minute."""

    price: str
    basis: str = "on"
    idle_price: str = "0"
    peaks: list[PeakPrice] = []
    session_fee: str = "0"
    minimum: str = "0"
    daily_cap: str | None = None
    grace_s: int = 0
    step_s: int = 1


class PricePeriod(Message, frozen=True, kw_only=True):
    """The tariff of sessions that end from a day on, until the next period of its list begins.

    Without a `tariff` nothing is charged. `purposes` are those that it bills: own, group (a badge of a group),
    maintenance (the session's basis is maintainer).
    """

    #: The first day, an ISO date in the time zone of the prices; absent: it applies already.
    since: str | None = None
    tariff: Tariff | None = None
    purposes: list[str] = []


class PriceList(Message, frozen=True, kw_only=True):
    """What some members pay, by periods in the order of their days."""

    periods: list[PricePeriod] = []
    #: Decimal text.
    discount_percent: str = "0"
    #: They have free minutes; a gate does not know how many are left.
    has_free_minutes: bool = False


class Prices(Message, frozen=True, kw_only=True):
    """The prices of a machine: ``Roster.prices``. For the panel only: the collector makes charges from entries.

    A gate that does not know the `format`, or finds a mistake anywhere, shows no price. It works as without prices.
    """

    format: int
    #: A code of ISO 4217, and its decimals.
    currency: Annotated[str, Meta(min_length=3, max_length=3)]
    digits: Annotated[int, Meta(ge=0, le=4)]
    #: The time zone of days and peak hours.
    tz: str
    #: ``Member.price_list`` counts from 0. A list without periods is that of members for whom another payer pays.
    lists: list[PriceList] = []


def read_prices(found: Any) -> Prices:
    """Return prices from decoded values. Raises UsageError for wrong or unknown ones, and no other error."""
    try:
        prices = msgspec.convert(found, Prices)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"found prices that are not valid: {error}") from None
    if prices.format != PRICES_FORMAT:
        raise UsageError(f"found prices in the format {prices.format}, wanted {PRICES_FORMAT}")
    return prices

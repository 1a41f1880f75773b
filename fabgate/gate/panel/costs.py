"""The money on the panel: the price when a session begins, and the cost when it has ended.

It is computed from the prices of the roster after power was switched, and decides nothing. Charges are made by the
collector; where both have the same facts, they agree to the last minor unit (docs/decisions/0096). Whatever goes wrong
here costs no more than the price on the display.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from fabgate import wire
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.pricing import stored
from fabgate.pricing.mistakes import tariff_mistakes
from fabgate.pricing.price import Use, minor_units, price, price_at
from fabgate.pricing.tariffs import RUNNING, Tariff
from fabgate.rules import vocabulary
from fabgate.rules.machine import Session

log = logging.getLogger(__name__)

#: The JSON of no prices.
_NONE: Final = b"null"
#: The sessions whose starts are remembered. There is one at a time, and two during a handover.
_MOST_STARTS: Final = 8


class Certainty(StrEnum):
    """How close the amount on the panel is to the charge."""

    EXACT = "exact"
    MOST = "most"  # free minutes or a daily cap may make it less
    ABOUT = "about"  # the clock or the prices are in doubt


class Cost(NamedTuple):
    """The cost of a session, in minor units of a currency with `digits` decimals."""

    amount_minor: int
    digits: int
    currency: str
    certainty: Certainty = Certainty.EXACT


class Rate(NamedTuple):
    """The price of the time that begins now, after the discount, in the main unit of a currency."""

    #: None: a price per use.
    per_minute: Decimal | None
    #: The session fee, or the price per use.
    fixed: Decimal
    digits: int
    currency: str
    #: The price is for the time in which a job runs.
    is_by_running: bool = False
    #: The minimum of a session; 0 if it is not meaningful, because of a fee or of free minutes.
    minimum: Decimal = Decimal(0)


#: Returns what a session costs if it ends after so many milliseconds with power.
CostSoFar = Callable[[int], Cost | None]


class Money(NamedTuple):
    """The texts about money that the panel shows now."""

    #: For each signal that a session has ended, in their order.
    ended: tuple[Cost | None, ...] = ()
    #: Returns the price for the session that goes on; text is shown as a person typed it.
    rate: Callable[[], Rate | str | None] = lambda: None
    #: Returns what computes the cost so far of the session that goes on, from the milliseconds with power, or None. Threads
    #: of panels call it each second; it may raise anything.
    so_far: Callable[[], CostSoFar | None] = lambda: None
    #: Returns whether to tell the member now that their credit is low: once for each session.
    is_low: Callable[[], bool] = lambda: False


NO_MONEY: Final = Money()


class Costs:
    """The prices at one machine, and the sessions that they are for."""

    def __init__(self, in_force: RosterInForce) -> None:
        self._in_force = in_force
        self._prices = _Prices(_NONE)
        self._starts: dict[str, tuple[vocabulary.Started, vocabulary.Now]] = {}
        #: The last session for which `Money.is_low` was called.
        self._last_asked = ""
        #: The last failure that was logged: the price is computed each second.
        self._failure = ""

    def of(
        self, commands: Iterable[vocabulary.Record | vocabulary.Signal], session: Session | None, now: vocabulary.Now
    ) -> Money:
        """Return what to say now: `commands` are those of the rules that were not shown yet, `session` the one that goes on.

        Raises nothing.
        """
        ended: list[Cost | None] = []
        cost: Cost | None = None
        for command in commands:
            if isinstance(command, vocabulary.Signal):
                if command.kind is vocabulary.SignalKind.ENDED:
                    ended.append(cost)  # it follows the record of its session; a cancelled start has no such signal
                continue
            for fact in command.facts:
                if isinstance(fact, vocabulary.Started):
                    self._remember(fact, command.at)
                elif isinstance(fact, vocabulary.Ended):
                    cost = self._or_none(self._cost, fact, command.at)
        return Money(
            tuple(ended),
            partial(self._or_none, self._rate, session, now),
            partial(self._or_none, self._so_far, session, now),
            lambda: self._or_none(self._is_low, session, now) is True,
        )

    def _remember(self, fact: vocabulary.Started, at: vocabulary.Now) -> None:
        self._starts[fact.session] = fact, at
        if len(self._starts) > _MOST_STARTS:
            self._starts.pop(next(iter(self._starts)))

    def _cost(self, fact: vocabulary.Ended, at: vocabulary.Now) -> Cost | None:
        started, began = self._starts.pop(fact.session, (None, None))
        if started is None or began is None:
            return None
        found = self._price_list(fact.badge)
        tariff = None if found is None else found.tariff(at.local, _purpose(started.member, started.basis.kind))
        if found is None or tariff is None:
            return None
        amount = found.cost(tariff, Use(fact.energised_ms, fact.running_ms, began.local))
        is_in_doubt = _is_in_doubt(tariff, began, at) or self._in_force.is_stale(at)
        certainty = found.certainty(amount, tariff, is_in_doubt=is_in_doubt)
        return Cost(amount, self._prices.digits, self._prices.currency, certainty)

    def _so_far(self, session: Session | None, now: vocabulary.Now) -> CostSoFar | None:
        """None if the cost does not follow the time alone: a job's time is known from time to time only."""
        if session is None or session.id not in self._starts or (found := self._price_list(session.badge)) is None:
            return None
        began, purpose = self._starts[session.id][1], _purpose(session.member, session.basis.kind)
        prices, is_stale = self._prices, self._in_force.is_stale(now)

        def cost(ms: int) -> Cost | None:
            tariff = found.tariff(began.local and began.local + timedelta(milliseconds=ms), purpose)
            if tariff is None or tariff.charged_for == RUNNING or not tariff.prices_time:
                return None
            amount = found.cost(tariff, Use(ms, 0, began.local))
            certainty = found.certainty(amount, tariff, is_in_doubt=_is_in_doubt(tariff, began, now) or is_stale)
            return Cost(amount, prices.digits, prices.currency, certainty)

        return cost

    def _rate(self, session: Session | None, now: vocabulary.Now) -> Rate | str | None:
        if session is None:
            return None
        if self._in_force.prices in (None, _NONE):
            return self._in_force.machine.price_hint
        found = self._price_list(session.badge)
        tariff = None if found is None else found.tariff(now.local, _purpose(session.member, session.basis.kind))
        if found is None or tariff is None:
            return None
        pays = 1 - found.discount_percent / 100
        digits, currency = self._prices.digits, self._prices.currency
        if not tariff.prices_time:
            return Rate(None, max(tariff.session_fee, tariff.minimum) * pays, digits, currency)
        per_minute, is_by_running = found.price_at(tariff, now.local) * pays, tariff.charged_for == RUNNING
        minimum = Decimal(0) if found.has_free_minutes or tariff.minimum <= tariff.session_fee else tariff.minimum
        return Rate(per_minute, tariff.session_fee * pays, digits, currency, is_by_running, minimum * pays)

    def _is_low(self, session: Session | None, now: vocabulary.Now) -> bool:
        """Return whether the roster says so; not if it is stale, because credit may have been added since."""
        if session is None or session.id == self._last_asked:
            return False
        self._last_asked = session.id
        return not self._in_force.is_stale(now) and self._in_force.has_low_credit(session.badge)

    def _price_list(self, badge: str) -> _PriceList | None:
        """Return the prices for the holder of a badge, or None: they see none."""
        if (found := self._in_force.prices) is not self._prices.json:
            self._prices = _Prices(found)
        number = self._in_force.price_list(badge)
        return self._prices.lists.get(number) if type(number) is int else None

    def _or_none(self, compute: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `compute` returns, or None if it fails in any way: no session depends on it."""
        try:
            return compute(*arguments)
        except Exception as error:
            if self._failure != repr(error):
                self._failure = repr(error)
                log.exception("the panel shows no price, because it cannot be computed")
            return None


class _Prices:
    """The prices of one roster; none where they are wrong or of a format that this version does not know."""

    def __init__(self, json: bytes | None) -> None:
        self.json = json
        self.currency, self.digits = "", 0
        self.lists: Mapping[int, _PriceList] = {}
        try:
            found = wire.read_prices(msgspec.json.decode(json)) if json not in (None, _NONE) else None
            if found is not None:
                zone = ZoneInfo(found.tz)
                self.currency, self.digits = found.currency, found.digits
                self.lists = {number: _PriceList(one, zone, found.digits) for number, one in enumerate(found.lists)}
        except Exception as error:  # noqa: BLE001 - the machine works even if prices are invalid
            log.warning("the roster's prices cannot be read, so the panel shows none: %s", error)


class _PriceList:
    """The prices for some members. Its tariffs are read when they are needed: one at a time, not all with a roster."""

    def __init__(self, found: wire.PriceList, zone: ZoneInfo, digits: int) -> None:
        self.has_free_minutes = found.has_free_minutes
        self.discount_percent = Decimal(found.discount_percent)
        if not 0 <= self.discount_percent <= 100:
            raise ValueError(f"found the discount {self.discount_percent}, wanted 0 to 100")
        self._zone, self._digits = zone, digits
        self._periods = [(date.fromisoformat(one.since) if one.since else date.min, one) for one in found.periods]
        self._tariffs: dict[date, Tariff] = {}

    def tariff(self, moment: datetime | None, purpose: str) -> Tariff | None:
        """Return the tariff of the day of a moment, or None where it bills nothing for this purpose.

        Raises ValueError, or what its texts cause, for a tariff that cannot be.
        """
        day = date.min if moment is None else moment.astimezone(self._zone).date()
        begun = [(since, period) for since, period in self._periods if since <= day]
        if not begun:
            return None
        since, period = begun[-1]
        if period.tariff is None or purpose not in period.purposes:
            return None
        if since not in self._tariffs:
            self._tariffs[since] = self._read(period.tariff)
        return self._tariffs[since]

    def cost(self, tariff: Tariff, use: Use) -> int:
        """Return what a session costs, in minor units. No minute is free, and a daily cap counts as if it were unused."""
        return minor_units(price(tariff, use, self._zone, discount_percent=self.discount_percent).amount, self._digits)

    def price_at(self, tariff: Tariff, moment: datetime | None) -> Decimal:
        """Return the price per minute at a moment, before the discount."""
        return price_at(tariff, moment, self._zone)

    def certainty(self, amount: int, tariff: Tariff, *, is_in_doubt: bool) -> Certainty:
        """Return how close an amount by one of these tariffs is to the charge."""
        if is_in_doubt:
            return Certainty.ABOUT
        may_be_less = amount and (self.has_free_minutes or tariff.daily_cap is not None)
        return Certainty.MOST if may_be_less else Certainty.EXACT

    def _read(self, found: wire.Tariff) -> Tariff:
        peaks = [msgspec.structs.asdict(peak) for peak in found.peaks]
        tariff = stored.from_json({**msgspec.structs.asdict(found), "peaks": peaks})
        if mistakes := tariff_mistakes(tariff, self._digits):
            raise ValueError(f"found a tariff with mistakes: {mistakes}")
        return tariff


def _is_in_doubt(tariff: Tariff, began: vocabulary.Now, at: vocabulary.Now) -> bool:
    """Return whether a clock that was not set may have found the wrong price."""
    return not at.synced or bool(tariff.peaks and not began.synced)


def _purpose(member: str, basis: str) -> str:
    """Return the purpose that the collector gives a session, before any correction."""
    if basis == "maintainer":
        return "maintenance"
    return "group" if member.startswith(wire.GROUP_PREFIX) else "own"

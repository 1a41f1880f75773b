"""What rosters say about prices, so that a gate's panel can show them; charges are made from sessions alone.

A roster names all tariffs that apply at its machine or will, each with its first day, and for each member the list that
is theirs. A member for whom somebody else pays sees no price (docs/decisions/0096).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from itertools import chain
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from django.conf import settings

from fabgate import wire
from fabgate.collector.ground.models import BillingTerms, Group, Machine, Member
from fabgate.collector.money.billing import member_plans, rating, terms
from fabgate.collector.money.billing.tariffs import rules
from fabgate.pricing import stored

#: The purposes that a gate can know of; the others come with a correction.
_PURPOSES: Final = frozenset({"own", "group", "maintenance"})
#: In the place of a plan: another payer pays.
_PAID_FOR: Final = None
_NO_LIST: Final = wire.PriceList()


def zones() -> tuple[ZoneInfo, ...]:
    """Return the time zones whose days decide about rosters: that of the site, and that of billing if it was started."""
    site, started = settings.ENVIRONMENT.tz, terms.started()
    return tuple(ZoneInfo(name) for name in ((site,) if started is None else (site, started.zone)))


def days(of: Iterable[ZoneInfo], moment: datetime) -> tuple[date, ...]:
    """Return the day at a moment in each of the zones."""
    return tuple(moment.astimezone(zone).date() for zone in of)


class MachinePrices(NamedTuple):
    """The prices at one machine, or None, and the number of each holder's list, by roster id; those of 0 are left out."""

    prices: wire.Prices | None = None
    numbers: Mapping[str, int] = {}


class Prices:
    """What members and groups pay, loaded once for the rosters of all machines."""

    def __init__(self, members: Iterable[Member], groups: Mapping[str, Group], now: datetime) -> None:
        self._terms: BillingTerms | None = terms.started()
        if self._terms is None:
            return
        self._today = now.astimezone(terms.zone(self._terms)).date()
        found, self._plans = terms.rules(), {"": rating.NO_PLAN, **terms.plans()}
        self._rules = rules.Lookup(found)
        #: The first days of rules, and of billing itself.
        self._days = sorted({self._terms.first_month, *(rule.valid_from for rule in found)})
        plans_matter = any(rule.plan for rule in found) or any(_gives(plan) for plan in self._plans.values())
        plans = member_plans.plans_on(self._today) if plans_matter else {}
        #: By roster id: the name of the plan, or _PAID_FOR.
        self._plan_of: dict[str, str | None] = {
            name: "" if group.payer_id_or_own == name else _PAID_FOR for name, group in groups.items()
        }
        for member in members:
            pays = member.payer_id is None or member.payer_id == member.pk
            self._plan_of[member.pk] = plans.get(member.pk, "") if pays else _PAID_FOR
        self._with_plan = Counter(self._plan_of.values())

    def at(self, machine: Machine) -> MachinePrices:
        """Return the prices at a machine. The list of most holders is number 0, which their rows need not name."""
        if self._terms is None:
            return MachinePrices()
        list_of = {plan: _NO_LIST if plan is None else self._list(machine, plan) for plan in self._with_plan}
        if all(one == _NO_LIST for one in list_of.values()):
            return MachinePrices()
        users: Counter[bytes] = Counter()
        for plan, one in list_of.items():
            users[wire.encode(one)] += self._with_plan[plan]
        ranked = sorted(users, key=lambda encoded: (-users[encoded], encoded))
        number_of = {plan: ranked.index(wire.encode(one)) for plan, one in list_of.items()}
        found = wire.Prices(
            format=wire.PRICES_FORMAT,
            currency=self._terms.currency,
            digits=self._terms.digits,
            tz=self._terms.zone,
            lists=[wire.decode(encoded, wire.PriceList) for encoded in ranked],
        )
        return MachinePrices(found, {one: number for one, plan in self._plan_of.items() if (number := number_of[plan])})

    def _list(self, machine: Machine, plan: str) -> wire.PriceList:
        periods = list(self._periods(machine, plan))
        if all(period.tariff is None for period in periods):
            return _NO_LIST
        gives = self._plans[plan]
        return wire.PriceList(
            periods=periods,
            discount_percent=f"{gives.discount_percent.normalize():f}",
            has_free_minutes=gives.free_minutes > 0,
        )

    def _periods(self, machine: Machine, plan: str) -> Iterator[wire.PricePeriod]:
        """Yield what applies today, without its day, which would make every roster a new one each day, and what follows."""
        last = None
        for day in chain([self._today], (day for day in self._days if day > self._today)):
            found = self._on(machine, plan, day)
            if found != last or day == self._today:
                yield msgspec.structs.replace(found, since=None if day == self._today else day.isoformat())
            last = found

    def _on(self, machine: Machine, plan: str, day: date) -> wire.PricePeriod:
        """Return the tariff of sessions that end on a day, without its first day."""
        assert self._terms is not None
        rule = self._rules.find(machine.name, machine.category, plan, day)
        if rule is None or day < self._terms.first_month:
            return wire.PricePeriod()
        tariff = msgspec.convert(stored.to_json(rule.tariff), wire.Tariff)
        return wire.PricePeriod(tariff=tariff, purposes=sorted(rule.purposes & _PURPOSES))


def _gives(plan: rating.Plan) -> bool:
    return bool(plan.free_minutes or plan.discount_percent)

"""What rosters say about prices, and that a panel which knows no more comes to the amounts that are charged."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Gate, Group, Machine, Member, Payer, Plan, TariffRule
from fabgate.collector.members.access import roster
from fabgate.collector.money.billing import member_plans, rating, rule_store, terms
from fabgate.collector.processes.worker import Worker
from fabgate.gate.panel.costs import Certainty, Cost, Costs
from fabgate.gate.roster.directory import store
from fabgate.gate.roster.in_force import RosterInForce
from fabgate.pricing import stored
from fabgate.pricing.mistakes import tariff_mistakes
from fabgate.pricing.tariffs import ON, RUNNING, Peak, Tariff
from fabgate.rules import vocabulary
from tests.collector import postgresql
from tests.collector.grants import give_badge
from tests.collector.rosters import Clock, served
from tests.gate.shell import gate_config

pytestmark = pytest.mark.usefixtures("env", "told")

ZONE = "Europe/Paris"
FIRST = datetime.now(ZoneInfo(ZONE)).date().replace(day=1)
DAY = timedelta(days=1)
#: With each roster so many sessions.
OF_EACH = 20
SESSIONS = 10_000 if os.environ.get("FABGATE_SOAK") else 100 if postgresql.SERVER else 400


def today() -> date:
    """Of the workshop, whose day begins before that of UTC, and of the moment: this file may have been read before midnight."""
    return datetime.now(ZoneInfo(ZONE)).date()


def rule(
    price: str = "0.10", since: date = FIRST, *, plan: str = "", purposes: Any = ("own", "group"), **where: Any
) -> None:
    priced(Tariff(Decimal(price)), since, plan=plan, purposes=purposes, **where)


def priced(tariff: Tariff, since: date, *, plan: str = "", purposes: Any = ("own", "group"), **where: Any) -> None:
    assert not tariff_mistakes(tariff, 2)
    row = TariffRule(
        plan=Plan.objects.get(name=plan) if plan else None,
        valid_from=since,
        tariff=stored.to_json(tariff),
        purposes=list(purposes),
        **where,
    )
    rule_store.add(row, "eve")


@pytest.fixture
def people(gate) -> list[Member]:
    """Three members with a badge each, who may use the machine."""
    members = [Member.objects.create(id=f"m-{number}", name=f"Member {number}") for number in (1, 2, 3)]
    for number, member in enumerate(members):
        member.machines.add(gate.machine)
        give_badge(member, f"04A1B2C{number}")
    return members


@pytest.fixture
def billing(people) -> None:
    terms.start("EUR", FIRST, ZONE, includes_vat=True, actor="eve")


def prices(gate: Gate) -> tuple[wire.Prices | None, dict[str, int]]:
    """Return the prices of a new roster, and the number of each member's list."""
    roster.rebuild()
    found = served(gate)
    return found.prices and wire.read_prices(found.prices), {member.id: member.price_list for member in found.members}


def texts(found: wire.PriceList) -> list[tuple[str | None, str | None]]:
    """Return (first day, price) of each period."""
    return [(one.since, one.tariff and one.tariff.price) for one in found.periods]


def test_before_billing_starts_and_without_a_rule_rosters_have_no_prices(gate, people):
    assert prices(gate)[0] is None
    terms.start("EUR", FIRST, "UTC", includes_vat=True, actor="eve")
    assert prices(gate)[0] is None
    rule(category="metal")
    assert prices(gate)[0] is None, "it applies elsewhere"
    assert b"price_list" not in bytes(gate.roster)


@pytest.mark.usefixtures("billing")
def test_a_roster_has_the_price_of_today_and_those_to_come(gate):
    rule("0.10", FIRST - 40 * DAY)
    rule("0.20", today())
    rule("0.30", today() + DAY)
    rule("0.40", today() + 9 * DAY, plan="", machine=gate.machine)
    rule("0.50", today() + 12 * DAY)
    found, numbers = prices(gate)
    assert found is not None
    assert (found.currency, found.digits, found.tz) == ("EUR", 2, "Europe/Paris")
    days = [(today() + days * DAY).isoformat() for days in (1, 9)]
    assert [texts(one) for one in found.lists] == [[(None, "0.2"), (days[0], "0.3"), (days[1], "0.4")]]
    assert set(numbers.values()) == {0}


def test_before_the_first_month_nothing_costs_anything(gate, people):
    first = (FIRST + 40 * DAY).replace(day=1)
    terms.start("EUR", first, "UTC", includes_vat=True, actor="eve")
    rule("0.10", FIRST)
    found, _ = prices(gate)
    assert found is not None
    assert texts(found.lists[0]) == [(None, None), (first.isoformat(), "0.1")]


@pytest.mark.usefixtures("billing")
def test_members_have_the_list_of_their_plan_and_none_if_another_payer_pays(gate, people):
    Plan.objects.create(name="student", free_minutes=30, discount_percent=Decimal("12.50"))
    Plan.objects.create(name="staff")
    rule("0.10")
    rule("0.05", plan="student")
    member_plans.set_plan(people[1], "student", FIRST, actor="eve")
    member_plans.set_plan(people[2], "staff", FIRST, actor="eve")
    found, numbers = prices(gate)
    assert found is not None
    assert [texts(one) for one in found.lists] == [[(None, "0.1")], [(None, "0.05")]]
    assert (found.lists[1].discount_percent, found.lists[1].has_free_minutes) == ("12.5", True)
    assert numbers == {"m-1": 0, "m-2": 1, "m-3": 0}, "a plan that changes nothing needs no list"
    school = Payer.objects.create(id="payer:1", name="School")
    Member.objects.filter(pk="m-3").update(payer=school)
    Member.objects.filter(pk="m-1").update(payer=Payer.objects.create(id="m-1", member=people[0]))
    found, numbers = prices(gate)
    assert found is not None
    assert found.lists[numbers["m-3"]] == wire.PriceList()
    assert texts(found.lists[numbers["m-1"]]) == [(None, "0.1")]


@pytest.mark.usefixtures("billing")
def test_the_gates_have_new_prices_soon_after_a_rule_or_a_plan_changes(gate, people, told):
    worker = Worker()
    worker.turn(datetime.now(UTC))
    worker.charge()

    def change_reaches_the_gate() -> bool:
        before = served(gate).version
        told.clear()
        worker.charge()
        is_new = served(gate).version != before
        assert bool(told) == is_new
        return is_new

    assert not change_reaches_the_gate()
    rule("0.10")
    assert change_reaches_the_gate()
    assert not change_reaches_the_gate()
    Plan.objects.create(name="student", free_minutes=30)
    member_plans.set_plan(people[0], "student", today(), actor="eve")
    assert change_reaches_the_gate()
    assert not change_reaches_the_gate()


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati"])
def test_a_plan_that_begins_tomorrow_counts_from_midnight_in_the_zone_of_billing(gate, people, monkeypatch, zone):
    terms.start("EUR", FIRST, zone, includes_vat=True, actor="eve")
    Plan.objects.create(name="student", free_minutes=30)
    clock, worker = Clock(monkeypatch), Worker()
    clock.at = datetime(today().year, today().month, today().day, 23, 59, tzinfo=ZoneInfo(zone))
    member_plans.set_plan(people[0], "student", today() + DAY, actor="eve")
    rule("0.10")
    worker.turn(clock.at)
    assert [member.price_list for member in served(gate).members] == [0, 0, 0]
    clock.at += timedelta(minutes=2)
    worker.turn(clock.at)
    assert [member.price_list for member in served(gate).members] == [1, 0, 0]


# --- agreement --------------------------------------------------------------------------------------------------------


class Panel:
    """The panel of a gate with a served roster: it knows nothing else."""

    def __init__(self, folder: Path, found: wire.Roster) -> None:
        config = gate_config(folder)
        config.state_dir.mkdir()
        store(found, config.state_dir / "roster.db")
        self.in_force = RosterInForce(config)
        self.costs = Costs(self.in_force)

    def cost(self, holder: str, badge: str, start: datetime, lasts_ms: int, ran_ms: int, basis: str) -> Cost | None:
        end = start + timedelta(milliseconds=lasts_ms)
        began, ended = vocabulary.Now(0, start, True), vocabulary.Now(lasts_ms, end, True)
        started = vocabulary.Started("s", holder, badge, vocabulary.Basis(basis), vocabulary.Mode.TAP)
        over = vocabulary.Ended("s", holder, badge, vocabulary.EndReason.BADGE, lasts_ms, ran_ms)
        commands = [
            vocabulary.Record(1, (started,), began),
            vocabulary.Record(2, (over,), ended),
            vocabulary.Signal(vocabulary.SignalKind.ENDED),
        ]
        return self.costs.of(commands, None, ended).ended[0]


def tariffs(chance: random.Random) -> Iterator[Tariff]:
    """Yield tariffs without mistakes, by chance; some have a cap."""
    while True:
        charged_for = chance.choice([ON, ON, RUNNING])
        windows = [
            Peak(
                frozenset(chance.sample(range(7), chance.randint(1, 7))),
                time(chance.randrange(24), chance.choice([0, 30])),
                time(chance.randrange(24)),
                Decimal(chance.choice(["0", "0.25", "0.333333"])),
            )
            for _ in range(chance.randrange(3) if charged_for == ON else 0)
        ]
        found = Tariff(
            price=Decimal(chance.choice(["0", "0.10", "0.125", "0.000017", "2"])),
            charged_for=charged_for,
            idle_price=Decimal(chance.choice(["0", "0.01"])) if charged_for == RUNNING else Decimal(0),
            peaks=tuple(windows),
            session_fee=Decimal(chance.choice(["0", "0", "0.50"])),
            minimum=Decimal(chance.choice(["0", "0", "1"])),
            daily_cap=chance.choice([None, None, Decimal(5)]),
            grace_s=chance.choice([0, 60]),
            step_s=chance.choice([1, 60, 900]),
        )
        if not tariff_mistakes(found, 2):
            yield found


@pytest.mark.chance
@pytest.mark.usefixtures("billing")
def test_panel_and_collector_agree_on_sessions_by_chance(gate, people, tmp_path):
    group = Group.objects.create(name="Class 4b", kind=Group.COMPANY)
    group.machines.add(gate.machine)
    badge = give_badge(None, "04A1B2D0", group=group)
    Plan.objects.create(name="third", discount_percent=Decimal("33.33"))
    Plan.objects.create(name="student", free_minutes=30)
    member_plans.set_plan(people[1], "third", FIRST, actor="eve")
    member_plans.set_plan(people[2], "student", FIRST, actor="eve")
    Machine.objects.update(category="wood")
    plan_of = {"m-1": "", "m-2": "third", "m-3": "student", group.roster_id: ""}
    chance, seen = random.Random(SESSIONS), set()
    for number in range(SESSIONS // OF_EACH):
        TariffRule.objects.all().delete()
        made, places = tariffs(chance), [{}, {"category": "wood"}, {"machine": gate.machine}]
        first_days = dict.fromkeys([FIRST, today(), today() + DAY, today() + 30 * DAY, today() + 99 * DAY])
        days = chance.sample(list(first_days), chance.randint(1, 4))  # today may be the first of the month
        for since in days:
            purposes = chance.sample(["own", "group", "maintenance", "training"], 3)
            priced(next(made), since, plan=chance.choice(["", "", "third"]), purposes=purposes, **chance.choice(places))
        roster.rebuild()
        found, book = served(gate), terms.for_rating(terms.get())
        panel = Panel(tmp_path / str(number), found)
        badges = {one.id: one.badges[0] for one in found.members}
        assert badges[group.roster_id] == badge.digest
        for _ in range(OF_EACH):
            holder, basis = chance.choice(sorted(plan_of)), chance.choice(["grant", "grant", "maintainer"])
            start = datetime(today().year, today().month, today().day, tzinfo=UTC) + timedelta(
                seconds=chance.randrange(1, 200 * 86_400)
            )
            start += timedelta(microseconds=chance.randrange(10**6))
            lasts_ms = chance.choice([chance.randrange(120_000), chance.randrange(6 * 3_600_000), 60_000, 1_800_000])
            ran_ms = chance.randrange(lasts_ms + 1)
            purpose = "maintenance" if basis == "maintainer" else "group" if holder == group.roster_id else "own"
            facts = rating.Facts(
                *("s", holder, "laser", "wood", plan_of[holder], purpose),
                *(start, start + timedelta(milliseconds=lasts_ms), lasts_ms, ran_ms),
            )
            (rated,) = rating.rate([facts], book)
            shown = panel.cost(holder, badges[holder], start, lasts_ms, ran_ms, basis)
            if rated.price is None:
                assert shown is None, facts
                seen.add(rated.kind)
                continue
            assert shown is not None, facts
            seen.add((rated.kind, shown.certainty))
            if plan_of[holder] == "student":
                assert shown.amount_minor >= rated.amount_minor, facts
                assert shown.certainty is Certainty.MOST or shown.amount_minor == rated.amount_minor, facts
            else:
                assert shown.amount_minor == rated.amount_minor, facts
        panel.in_force.close()
    assert {rating.NOT_BILLABLE, (rating.BILLED, Certainty.EXACT), (rating.BILLED, Certainty.MOST)} <= seen

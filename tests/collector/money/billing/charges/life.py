"""A workshop in which chance decides what happens: to its sessions, prices and charges."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import (
    BillingProgress,
    Charge,
    Machine,
    Member,
    Plan,
    Pulse,
    Review,
    UsageSession,
    Waiver,
)
from fabgate.collector.money.billing import member_plans, month, rule_store, terms
from fabgate.collector.money.billing.charges import decisions, record, refresh
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from fabgate.pricing.tariffs import Tariff
from tests.collector.faces.pages.used import NOON, Used
from tests.collector.money.billing.booked import FIRST, MONTHS, altered, billed, close, unlike_from_scratch

MINUTE = timedelta(minutes=1)


class Life:
    """A workshop in which chance decides what happens next. After each step everything that must hold is checked."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.shop = Used()
        billed(daily_cap=Decimal(4), grace_s=60)
        self.count = 0
        #: The rows of closed months, as they were when they were closed.
        self.closed: dict[date, list[record.Record]] = {}
        #: When each gate's last session ended, so that no two overlap.
        self.at = defaultdict(lambda: datetime(FIRST.year, FIRST.month, 10, tzinfo=UTC))

    def step(self) -> None:
        acts = [self.use] * 6 + [self.correct] * 4 + [self.contest, self.settle, self.waive, self.plan, self.line]
        acts += [self.close, self.price, self.category]
        self.chance.choice(acts)()
        refresh.refresh_all()
        self.check()

    def use(self) -> None:
        gate = self.chance.choice(["saw-1", "lathe-1"])
        start = self.at[gate] + self.chance.choice([1, 30, 60 * 24, 60 * 24 * 6]) * MINUTE
        minutes = self.chance.choice([0, 1, 7, 25, 45])
        if start + minutes * MINUTE > NOON:
            return
        self.at[gate] = start + minutes * MINUTE
        self.count += 1
        member = self.chance.choice(["m-1", "m-2", "emergency:fire"])
        more = {"uncertainty_ms": 90_000, "reason": "power-loss"} if self.chance.random() < 0.2 else {}
        self.shop.session(f"s-{self.count}", member, start, minutes, gate, **more)

    def any_session(self) -> str | None:
        names = sorted(UsageSession.objects.filter(reason__isnull=False).values_list("pk", flat=True))
        return self.chance.choice(names) if names else None

    def correct(self) -> None:
        if (name := self.any_session()) is None:
            return
        field, new = self.chance.choice(
            [
                ("time", str(self.chance.choice([0, 60_000, 600_000, 3_000_000]))),
                ("payer", self.chance.choice(["m-1", "m-2", "m-3"])),
                ("member", self.chance.choice(["m-1", "m-2", "m-3"])),
                ("purpose", self.chance.choice(["own", "training", "maintenance"])),
            ]
        )
        try:
            corrections.correct(name, field, new, author="eve", reason="a test")
        except UsageError:
            return  # it is so already

    def contest(self) -> None:
        name = self.any_session()
        if name and not Review.objects.filter(session=name, settled_at=None).exists():
            corrections.contest(UsageSession.objects.get(pk=name), "not me", author="zoe")

    def settle(self) -> None:
        if (review := Review.objects.filter(settled_at=None).order_by("pk").first()) is not None:
            corrections.accept(review, author="eve")

    def waive(self) -> None:
        if (name := self.any_session()) is None:
            return
        act = decisions.withdraw if Waiver.objects.filter(session=name).exists() else decisions.waive
        act(name, author="eve", reason="a test")

    def plan(self) -> None:
        open_month = refresh.open_book().open_month
        day = open_month + timedelta(days=self.chance.randrange(28))
        member = Member.objects.get(pk=self.chance.choice(["m-1", "m-2", "m-3"]))
        member_plans.set_plan(member, self.chance.choice(["", "student", "half"]), day, actor="eve")

    def price(self) -> None:
        """Add a price from a day of an open month on, everywhere or for a machine, a category or a plan."""
        machine = self.chance.choice([None, None, *Machine.objects.order_by("pk")])
        category = "" if machine else self.chance.choice(["", "wood", "metal"])
        plan = self.chance.choice([None, None, *Plan.objects.order_by("pk")])
        purposes = self.chance.choice([{"own", "group"}, {"own", "training"}, {"group"}])
        tariff = Tariff(Decimal(self.chance.choice(["0.10", "0.35"])), session_fee=Decimal(self.chance.choice([0, 1])))
        day = refresh.open_book().open_month + timedelta(days=self.chance.randrange(40))
        typed = Typed(tariff, frozenset(purposes), self.chance.choice(["", "S20"]))
        with contextlib.suppress(rule_store.SameDayError):
            rule_store.add(rule_store.unsaved((machine, category, plan), day, typed), "eve")

    def category(self) -> None:
        machine = self.chance.choice(list(Machine.objects.order_by("pk")))
        machine.category = self.chance.choice(["", "wood", "metal"])
        with audit.change("eve", "machine.updated", machine):
            machine.save()
        pulse.notify({Pulse.FLOOR: {"saw-1"}}, datetime.now(UTC))

    def line(self) -> None:
        day = FIRST + timedelta(days=self.chance.randrange(-40, 60))
        if day <= datetime.now(UTC).date():
            line = decisions.add_line("m-2", "Plywood", self.chance.choice([250, -100]), day=day, author="eve")
            own = day.replace(day=1)
            assert line.month == (own if own in MONTHS and own not in self.closed else refresh.open_book().open_month)

    def close(self) -> None:
        first = refresh.open_book().open_month
        if first in MONTHS:
            close(first)
            self.closed[first] = list(refresh.records(Charge.objects.filter(month=first).order_by("pk")))

    def check(self) -> None:
        book = refresh.open_book()
        for first, rows in self.closed.items():
            assert list(refresh.records(Charge.objects.filter(month=first).order_by("pk"))) == rows
        assert not any(altered())
        self._each_session_is_charged_once_as_it_is_now()
        self._open_months_are_as_if_rated_now(book)
        self._free_minutes_are_given_once(book)
        before = set(Charge.objects.values_list("pk", flat=True))
        BillingProgress.objects.update(terms="", position=0, pulse=-1)
        refresh.refresh_all()
        assert set(Charge.objects.values_list("pk", flat=True)) == before

    def _each_session_is_charged_once_as_it_is_now(self) -> None:
        rows = list(refresh.records(Charge.objects.all()))
        gone = {row.reverses for row in rows}
        net = {row.session: row for row in rows if not row.reverses and row.id not in gone}
        count = Counter()
        for row in rows:
            count[row.session] += -1 if row.reverses else 1
        ended = UsageSession.objects.filter(reason__isnull=False).select_related("machine", "gate")
        facts = {
            facts.session: (payer, facts) for payer, facts in month.facts_of(ended, terms.for_rating(terms.get()).zone)
        }
        assert {name for name, times in count.items() if times} == facts.keys()
        assert set(count.values()) <= {0, 1}
        assert {name: row.facts for name, row in net.items()} == {
            name: record.digest_of(*found) for name, found in facts.items()
        }
        assert sum(row.counted_ms for row in rows) == sum(facts.counted_ms for _payer, facts in facts.values())

    def _open_months_are_as_if_rated_now(self, book: refresh.Book) -> None:
        for first in MONTHS:
            if first < book.open_month:
                continue
            wanted = [
                record.charge(payer, rated, month=first, of_month=first, terms=book.snapshot(rated, book.terms))
                for payer, rated in month.rate(first, book.terms)
            ]
            rows = Charge.objects.filter(month=first, known=0, reverses="")
            assert sorted(refresh.records(rows), key=lambda one: one.id) == sorted(wanted, key=lambda one: one.id)
        assert not unlike_from_scratch()
        assert not Charge.objects.filter(month__gte=book.open_month, terms=None).exclude(rule=None).exists()

    def _free_minutes_are_given_once(self, book: refresh.Book) -> None:
        used: dict[tuple[date, str, str], int] = defaultdict(int)
        for row in refresh.records(Charge.objects.all()):
            used[row.of_month, row.payer, row.used_by] += row.free_ms
        assert all(0 <= free_ms <= 30 * 60_000 for free_ms in used.values())

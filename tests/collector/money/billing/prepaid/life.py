"""A workshop in which chance decides what happens, also who prepays and what they pay in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import pytest
from django.db import transaction

from fabgate.collector.ground.models import Charge, ManualLine, PrepaidEntry, Review, UsageSession
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.prepaid import balances, ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.money import prepaid as verification
from fabgate.collector.processes.verify.tables import logged
from fabgate.collector.recording.sessions import corrections
from tests.collector.money.billing.booked import FIRST, MONTHS
from tests.collector.money.billing.charges.life import Life

NOW = datetime(FIRST.year, FIRST.month, 20, 12, tzinfo=UTC)
CASH = Paid("cash")


def credit(amount_minor: int, payer: str = "m-1", now: datetime = NOW, **more: object) -> PrepaidEntry:
    return ledger.credit(payer, amount_minor, CASH, author="kim", now=now, **more).entry  # type: ignore[arg-type]


def findings() -> list[str]:
    report = Report()
    logged.check(report)
    verification.check(report)
    return [finding.text for finding in report.findings if finding.table.startswith("prepaid")]


@contextmanager
def tried() -> Iterator[None]:
    """Undo what the block does."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Moved(NamedTuple):
    """What the model knows of one payment: the payer, the day and the amount."""

    payer: str
    day: date
    amount_minor: int


class PrepaidLife(Life):
    """A workshop in which chance also decides who prepays, what they pay in, and what they get back.

    What a payer may get back is found by accepting each session in review, and counting afterwards; then that is undone.
    """

    def __init__(self, seed: int) -> None:
        #: The time of sessions that cannot have been as they were reported.
        self.certain_ms: dict[str, int] = {}
        #: Sessions whose doubt was settled by a person.
        self.decided: set[str] = set()
        super().__init__(seed)
        self.paid: list[Moved] = []
        self.modes: dict[tuple[str, date], bool] = {}
        #: Balances on the last days of closed months.
        self.kept: dict[tuple[str, date], int] = {}
        self.mode()

    def step(self) -> None:
        if self.chance.random() < 0.5:
            self.chance.choice([self.pay, self.pay, self.pay_back, self.take_back, self.mode])()
        super().step()

    @property
    def open_month(self) -> date:
        return refresh.open_book().open_month

    def now(self) -> datetime:
        """Return a moment of a month that is open, or of the days before it that a wrong clock shows."""
        day = self.open_month + timedelta(days=self.chance.randrange(-3, 28))
        return datetime(day.year, day.month, day.day, self.chance.randrange(24), tzinfo=UTC)

    def note(self, entry: PrepaidEntry) -> None:
        self.paid.append(Moved(entry.payer, max(entry.at.date(), self.open_month), entry.amount_minor))

    def pay(self) -> None:
        payer, amount, now = self.chance.choice(["m-1", "m-2", "m-3"]), self.chance.choice([1, 250, 999]), self.now()
        later = [since for _payer, since in self.modes if since > now.date()]
        if any(self.prepays(payer, day) for day in (now.date(), *later)) or self.owes(payer):
            self.note(credit(amount, payer, now, is_meant=True))
        else:
            with pytest.raises(ledger.NotPrepaidError):
                credit(amount, payer, now, is_meant=True)

    def owes(self, payer: str) -> bool:
        """Decide whether a payer used more than they paid in, also if they do not prepay any more."""
        return self.balance(payer, date.max) < 0

    def pay_back(self) -> None:
        payer, amount = self.chance.choice(["m-1", "m-2"]), self.chance.choice([1, 300])

        def pay_it() -> PrepaidEntry:
            return ledger.refund(payer, amount, Paid("card", reason="a test"), author="eve", now=self.now()).entry

        if self.refundable(payer) >= amount:
            self.note(pay_it())
        else:
            with pytest.raises(ledger.TooMuchError):
                pay_it()

    def accept_all(self, besides: Collection[tuple[str, datetime]] = ()) -> None:
        for one in Review.objects.filter(settled_at=None, session__reason__isnull=False).order_by("pk"):
            name = one.session_id
            if (name, one.opened_at) in besides:
                continue
            counted_ms = UsageSession.objects.get(pk=name).counted_ms
            certain_ms = counted_ms if name in self.decided else self.certain_ms.get(name, counted_ms)
            if certain_ms < counted_ms:
                corrections.correct(name, "time", str(certain_ms), author="eve", reason="a test")
            else:
                corrections.accept(one, author="eve")
        refresh.refresh_all()

    def refundable(self, payer: str) -> int:
        """Find what may be refunded: the balance, or what is left of it once every session in review is accepted."""
        with tried():
            self.accept_all()
            accepted = self.balance(payer, date.max)
        return min(accepted, self.balance(payer, date.max))

    def take_back(self) -> None:
        entries = PrepaidEntry.objects.filter(kind=PrepaidEntry.CREDIT, taken_back_by=None).order_by("pk")
        if entries:
            pk = self.chance.choice([entry.pk for entry in entries])
            self.note(ledger.take_back(pk, author="eve", now=self.now(), reason="a test").entry)

    def mode(self) -> None:
        payer, prepays = self.chance.choice(["", "m-1", "m-2"]), self.chance.random() < 0.7
        month = max(self.open_month, self.chance.choice(MONTHS))
        modes.set_mode(payer, month, prepays=prepays, actor="eve")
        self.modes[payer, month] = prepays

    def prepays(self, payer: str, month: date) -> bool:
        for who in (payer, ""):
            begun = [since for name, since in self.modes if name == who and since <= month]
            if begun:
                return self.modes[who, max(begun)]
        return False

    def is_from_credit(self, charge: Charge) -> bool:
        """Decide whether a charge is paid from credit: a correction only if what it corrects was."""
        before = charge.reverses
        if not before:
            reversals = Charge.objects.filter(session=charge.session, month=charge.month).exclude(reverses="")
            before = reversals.values_list("reverses", flat=True).first() or ""
        if before and not self.is_from_credit(Charge.objects.get(pk=before)):
            return False
        return self.prepays(charge.payer, charge.month)

    def balance(self, payer: str, day: date) -> int:
        """Reckon a balance from everything that was ever charged, without the ledger's entries of closed months."""
        found = sum(one.amount_minor for one in self.paid if one.payer == payer and one.day <= day)
        for charge in Charge.objects.filter(payer=payer):
            counts = charge.ended_at.date() if charge.month == charge.of_month else charge.month
            if counts <= day and self.is_from_credit(charge):
                found -= charge.amount_minor
        for line in ManualLine.objects.filter(payer=payer):
            if max(line.month, line.day) <= day and self.prepays(payer, line.month):
                found -= line.amount_minor
        return found

    def check(self) -> None:
        super().check()
        days = [self.chance.choice(MONTHS) + timedelta(days=self.chance.randrange(31)) for _ in range(2)]
        for payer in ("m-1", "m-2", "m-3"):
            assert balances.of(payer) == self.balance(payer, date.max), payer
            for day in days:
                assert balances.of(payer, day) == self.balance(payer, day), (payer, day)
            for month in self.closed:
                last = terms.next_month(month) - timedelta(days=1)
                assert self.kept.setdefault((payer, last), balances.of(payer, last)) == balances.of(payer, last)
        assert not findings()

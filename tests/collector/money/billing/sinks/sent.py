"""The books of two months, a sink with its program, and the turns in which it is sent the charges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings

from fabgate.collector.ground.models import (
    Charge,
    ClosedMonth,
    Collector,
    LedgerLine,
    ManualLine,
    Member,
    Sink,
    UsageSession,
)
from fabgate.collector.money.billing.charges import decisions as charges
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.sinks import engine, status
from fabgate.collector.money.billing.sinks.contract import METERED, USAGE
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import FIRST, MONTHS, billed, close, session
from tests.collector.money.billing.sinks import programs
from tests.collector.money.billing.sinks.programs import Clock, Program

#: A year after everything that happens here.
NOW = datetime.now(UTC) + timedelta(days=365)


def two_closed_months() -> Used:
    """Write and return two closed months: sessions, a line, a credit, and a reversal."""
    Collector.get(settings.ENVIRONMENT.site)
    shop = Used()
    billed()
    for number in range(4):
        session(shop, f"s-{number}", FIRST + timedelta(days=9 + number), 10 * number, f"m-{1 + number % 2}")
    refresh.refresh_all()
    charges.add_line("m-1", "Plywood", 1_250, day=FIRST, author="eve")
    close(MONTHS[0])
    corrections.correct("s-3", "payer", "m-3", author="eve", reason="a test")
    refresh.refresh_all()
    charges.add_line("m-2", "A credit", -500, day=FIRST, author="eve")
    close(MONTHS[1])
    return shop


class Sent:
    """A sink, its program and a clock."""

    def __init__(self, program: Program, *, with_references: bool = True) -> None:
        self.program = program
        self.clock = Clock(NOW)
        if with_references and self.configured.driver.needs_reference:
            for number in (1, 2, 3):
                payer = payers.ensure(payers.of_member(Member.objects.get(pk=f"m-{number}")), actor="eve")
                payers.set_references(payer, {self.configured.name: f"sub-{number}"}, actor="eve")

    @property
    def configured(self) -> engine.Configured:
        return self.program.configured(f"{FIRST:%Y-%m}")

    def turn(self) -> None:
        while engine.deliver(self.configured, self.clock):
            pass

    def wait(self, **how_long: int) -> None:
        self.clock.at += timedelta(**how_long)

    @property
    def row(self) -> Sink:
        return Sink.objects.get()

    def wanted(self) -> dict[str, int]:
        """Return what is in the books: key -> amount; lines by their amounts only."""
        if self.configured.feed == METERED or isinstance(self.program, programs.UsageFolder):
            rows = UsageSession.objects.exclude(counted_ms=0)
            return {f"line of {row.pk}": row.counted_ms for row in rows}
        if self.configured.feed == USAGE:
            return {str(line.pk): line.counted_ms for line in LedgerLine.objects.all()}
        if isinstance(self.program, programs.JournalFolder):
            return {str(closed): closed.amount_minor for closed in ClosedMonth.objects.all()}
        found = {row.pk: row.amount_minor for row in Charge.objects.filter(month__lte=MONTHS[1])}
        if self.configured.driver.only_money:
            found = {key: amount for key, amount in found.items() if amount}
        return found | {f"line {row.pk}": row.amount_minor for row in ManualLine.objects.all()}

    def check(self) -> None:
        """Check that the program has everything once, and that the sums are equal."""
        effects, wanted = self.program.effects, self.wanted()
        keys = [key for key, _amount in effects]
        assert len(set(keys)) == len(keys)
        assert sorted(amount for _key, amount in effects) == sorted(wanted.values())
        found = {key.partition(".")[0] if self.configured.feed == USAGE else key for key in keys}
        assert {key for key in wanted if not key.startswith("line")} <= found
        assert sum(amount for _key, amount in effects) == sum(wanted.values())
        if self.configured.feed not in {USAGE, METERED}:
            for month in status.months(self.row, FIRST):
                assert (month.open_minor, month.left_minor) == (0, 0)
                assert month.sent_minor == month.charged_minor
        assert self.row.trouble == ""


class Killed(BaseException):
    """The process ends."""

"""Random months of a workshop, by what people and gates really do: rules, sessions, decisions, closings.

Two gates write sessions of the first month. One of them is away when that month is closed, so its sessions are late.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import transaction

from fabgate.collector.ground.models import Charge, Contest, ManualLine, Member, Payer, UsageSession, Waiver
from fabgate.collector.money.billing import closing, contests, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST
from tests.collector.faces.pages.used import Used

NEXT = terms.next_month(FIRST)
THIRD = terms.next_month(NEXT)
MEMBERS = ("m-1", "m-2", "m-3")
DIGITS = {"EUR": 2, "JPY": 0, "TND": 3}
PRICES = ("0.10", "0.25", "0.3333", "0.000017", "1.2345", "12", "0")
AMOUNTS = {0: ("1", "7", "150"), 2: ("0.50", "1", "2.35"), 3: ("0.125", "1", "3.777")}
STEPS = (1, 1, 1, 7, 60, 900, 3600)
DURATIONS_MS = (
    *(minutes * 60_000 for minutes in (1, 5, 7, 15, 30, 45, 60, 90, 180)),
    *(1, 999, 29_999, 30_001, 300_001, 1_234_567, 3_599_999, 7_222_111),
)


class Life:
    """A workshop whose months come from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        choose = self.chance.choice
        self.shop = Used()
        self.currency = choose(["EUR", "EUR", "JPY", "TND"])
        self.includes_vat = choose([True, True, False, None])
        terms.start(self.currency, FIRST, choose(["UTC", "Europe/Paris"]), includes_vat=self.includes_vat, actor="maya")
        self._rates()
        self._rules()
        self._people()
        #: When each gate writes next.
        self.at = {gate: datetime.combine(FIRST, time(6), UTC) for gate in ("saw-1", "lathe-1")}
        self.sessions: list[str] = []

    def _amount(self) -> str:
        return self.chance.choice(AMOUNTS[DIGITS[self.currency]])

    def rule(self) -> str:
        """Return a rule as it is typed."""
        choose = self.chance.choice
        parts = [f"price={choose(PRICES)}", f"grace_s={choose([0, 0, 30, 60])}", f"step_s={choose(STEPS)}"]
        if choose([False, False, True]):
            parts += ["basis=running", f"idle_price={choose(PRICES)}"]
        elif choose([True, True, False]):
            parts.append(f"peak='{choose(['mon-sun', 'mon-fri'])} 08:00-12:30 {choose(PRICES)}'")
            parts += choose([[], [f"peak='mon-sun 17:00-22:00 {choose(PRICES)}'"]])
        parts += choose([[], [f"session_fee={self._amount()}"]])
        least = self._amount()
        parts += choose([[], [f"minimum={least}"]])
        if choose([True, False]):
            parts.append(f"daily_cap={max(least, self._amount(), key=float)}")
        return " ".join([*parts, *choose([[], ["vat_code=V20N"], ["vat_code=RED"]])])

    def _rules(self) -> None:
        for machine in ("bandsaw", "lathe"):
            if self.chance.random() < 0.95:
                billing.rule(self.rule(), machine=machine)

    def _rates(self) -> None:
        if self.includes_vat is None:
            return
        for code, percents in {"V20N": ["20", "20", ""], "RED": ["5.5", "8.1", ""], "": ["0", "19.6", ""]}.items():
            if percent := self.chance.choice(percents):
                rates.set_rate(code, Decimal(percent), actor="maya")

    def _people(self) -> None:
        choose = self.chance.choice
        for member in MEMBERS[:2]:
            percent = choose(["0", "0", "20", "33.33", "100"])
            billing.plan(f"plan-{member}", member, free_minutes=choose([0, 7, 60, 600]), discount_percent=percent)
        for member in MEMBERS:
            Payer.objects.create(id=member, member_id=member, name=f"Payer {member}", lang=choose(["en", "fr"]))
        if choose([True, False]):
            Member.objects.filter(pk="m-3").update(payer="m-1")
        if self.includes_vat is not False:
            for member in MEMBERS:
                if choose([True, False]):
                    modes.set_mode(member, choose([FIRST, NEXT]), prepays=True, actor="maya")

    # --- what happens -------------------------------------------------------------------------------------------------

    def use(self, gate: str) -> None:
        """Use a machine in the first month, until the 27th."""
        choose = self.chance.choice
        start = self.at[gate] + timedelta(minutes=choose([0, 5, 45, 200, 900]), milliseconds=choose([0, 345, 999]))
        lasts = choose(DURATIONS_MS)
        self.at[gate] = start + timedelta(milliseconds=lasts, minutes=1)
        if start.month != FIRST.month or start.day > 27:
            return
        name, member = f"s-{len(self.sessions):02}", choose(MEMBERS)
        self.sessions.append(name)
        self.shop.begin(name, member, start, gate)
        running = choose([0, lasts // 3, lasts])
        self.shop.end(name, member, start + timedelta(milliseconds=lasts), lasts, gate, running_ms=running)

    def decide(self) -> None:
        """Let a person decide something about a session, a line or a credit; what is refused changes nothing."""
        acts: list[Callable[[], object]] = [
            self._correct,
            self._correct,
            self._waive,
            self._line,
            self._contest,
            self._credit,
        ]
        with contextlib.suppress(UsageError):
            self.chance.choice(acts)()

    def _session(self) -> str:
        return self.chance.choice(self.sessions)

    def _correct(self) -> None:
        field, values = self.chance.choice(
            [
                ("time", [str(ms) for ms in DURATIONS_MS]),
                ("payer", ["m-2", "m-1"]),
                ("purpose", ["training", "own"]),
                ("member", list(MEMBERS)),
            ]
        )
        corrections.correct(self._session(), field, self.chance.choice(values), author="maya", reason="So it was")

    def _waive(self) -> None:
        session = self._session()
        if Waiver.objects.filter(session=session).exists():
            decisions.withdraw(session, author="maya", reason="It worked")
        else:
            decisions.waive(session, author="maya", reason="It stopped")

    def _line(self) -> None:
        minor = self.chance.choice([1, 333, 1_250, -40, 123_456])
        code = self.chance.choice(["V20N", "RED", ""])
        payer = self.chance.choice(MEMBERS)
        decisions.add_line(payer, "Plywood sheet", minor, day=FIRST, author="maya", vat_code=code)

    def _contest(self) -> None:
        lines = list(ManualLine.objects.order_by("pk"))
        if lines and self.chance.random() < 0.5:
            line = self.chance.choice(lines)
            contests.contest(Contest.LINE, str(line.pk), "Not mine", Member.objects.get(pk=line.payer), author="zoe")
            return
        session = UsageSession.objects.get(pk=self._session())
        with transaction.atomic():
            if contests.goes_to_review(session):
                corrections.contest(session, "Not mine", author="zoe")

    def _credit(self) -> None:
        minor, day = self.chance.choice([500, 2_000]), datetime.combine(FIRST, time(12), UTC)
        ledger.credit(self.chance.choice(MEMBERS), minor, Paid("cash"), author="kim", now=day, is_meant=True)

    def first_month(self) -> None:
        """Let sessions and decisions happen in the first month."""
        for _number in range(self.chance.choice([4, 9, 14])):
            self.use(self.chance.choice(["saw-1", "saw-1", "lathe-1"]))
            if self.chance.random() < 0.4 and self.sessions:
                self.decide()
        refresh.refresh_all()

    def close(self, month: date) -> None:
        """Close a month, as some days after the end of it."""
        after = datetime.combine(THIRD, time(12), UTC) + timedelta(days=40)
        closing.close(month, after, actor="maya", reason="a test")

    def later(self) -> None:
        """Let sessions become known, and people change their minds, after a month was closed."""
        for _number in range(self.chance.choice([2, 4, 6])):
            self.use("lathe-1")
        for _number in range(self.chance.choice([3, 6, 9])):
            self.decide()
        refresh.refresh_all()

    def payers(self) -> set[str]:
        """Return who is charged anything."""
        rows = (*Charge.objects.values_list("payer"), *ManualLine.objects.values_list("payer"))
        return {payer for (payer,) in rows}

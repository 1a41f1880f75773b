"""How each charge and line is settled: from credit, or by statement.

It is as its payer settles the month in which it is charged. There is one exception: a reversal of what was not settled from
credit, and the charge that follows it, are due by statement, whatever their payer does now. Otherwise a month that nobody
has paid would become credit, and could be refunded in cash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import NamedTuple, Self

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Charge, ManualLine
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.prepaid.modes import Modes
from fabgate.collector.money.billing.prepaid.words import PREPAID, RECEIVABLE


class ChargeToSettle(NamedTuple):
    """What settlement knows of a charge of one session."""

    session: str
    month: date
    reverses: str
    id: str
    payer: str


class Settled(NamedTuple):
    """How the charges and lines of some months are settled."""

    modes: Modes
    #: The ids of charges, and the numbers of lines, that are due by statement because of what they correct.
    charges: Collection[str] = frozenset()
    lines: Collection[int] = frozenset()

    @classmethod
    def of(cls, *, payer: str | None = None, **months: object) -> Self:
        """Read it for the months of a filter, such as ``month=first``: a few queries, none more for many charges.

        With a `payer` it is that of the charges and lines of this payer.
        """
        known = Modes.now()
        if not known:
            return cls(known)
        reversals = Charge.objects.filter(**months).exclude(reverses="").order_by()
        lines = ManualLine.objects.filter(**months).exclude(reverses=None).order_by("pk")
        if payer is not None:
            # What a charge of theirs follows may have been another payer's, before a person corrected who pays.
            reversals = reversals.filter(session__in=Charge.objects.filter(payer=payer, **months).values("session"))
            lines = lines.filter(payer=payer)
        sessions = sorted(set(reversals.values_list("session", flat=True)))
        return cls(known, due_by_statement(known, steps_of(sessions)), _lines(known, list(lines)))

    def charge(self, pk: str, payer: str, month: date) -> str:
        """Return how a charge is settled: PREPAID or RECEIVABLE. `month` is the one in which it is charged."""
        return RECEIVABLE if pk in self.charges else self.modes.settlement(payer, month)

    def line(self, pk: int, payer: str, month: date) -> str:
        """Return how a line is settled."""
        return RECEIVABLE if pk in self.lines else self.modes.settlement(payer, month)


def steps_of(sessions: Sequence[str]) -> list[ChargeToSettle]:
    """Return all charges of some sessions."""
    found = statements.rows_among(Charge.objects.all(), "session", sessions, "month", "reverses", "pk", "payer")
    return [ChargeToSettle(*row) for row in found]


def step_of(one: Record) -> ChargeToSettle:
    """Return the step that a charge is."""
    return ChargeToSettle(one.session, one.month, one.reverses, one.id, one.payer)


def due_by_statement(known: Modes, steps: Iterable[ChargeToSettle]) -> frozenset[str]:
    """Return the ids of the charges that are due by statement because of what they reverse or follow.

    `steps` has all charges of each session. Pure.
    """
    by_session: dict[str, list[ChargeToSettle]] = defaultdict(list)
    for step in steps:
        by_session[step.session].append(step)
    due: set[str] = set()
    for charges in by_session.values():
        settled: dict[str, str] = {}
        reversed_in: dict[date, str] = {}
        # In each month a session has at most one reversal, and the charge that follows it.
        for step in sorted(charges, key=lambda one: (one.month, not one.reverses)):
            before = step.reverses or reversed_in.get(step.month, "")
            if step.reverses:
                reversed_in[step.month] = step.reverses
            settled[step.id] = known.settlement(step.payer, step.month)
            if before and settled.get(before, RECEIVABLE) != PREPAID:
                settled[step.id] = RECEIVABLE
                due.add(step.id)
    return frozenset(due)


def _lines(known: Modes, lines: Collection[ManualLine]) -> frozenset[int]:
    """Return the numbers of those lines that take back one which was not settled from credit."""
    taken_back = ManualLine.objects.in_bulk([line.reverses for line in lines])
    due: set[int] = set()
    for line in lines:
        before = taken_back.get(line.reverses or 0)
        while before is not None and known.prepays(before.payer, before.month) and before.reverses is not None:
            before = ManualLine.objects.filter(pk=before.reverses).first()
        if before is not None and not known.prepays(before.payer, before.month):
            due.add(line.pk)
    return frozenset(due)

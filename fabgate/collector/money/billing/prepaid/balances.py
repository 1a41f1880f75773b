"""Balances of payers who prepay, on any day: the ledger, less the charges that are not in it yet.

A charge counts on the day on which its session ended; a reversal, or a session of a closed month that became known late,
on the first day of the month in which it is charged; a line on its own day, or on that first day if it is of a closed
month. So the balance on a day of a closed month never changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from django.db.models import Q, QuerySet, Sum

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import BillingTerms, Charge, ManualLine, PrepaidEntry
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.prepaid import modes
from fabgate.collector.money.billing.prepaid.settlement import Settled

#: With more payers than this, those of all are read, which is faster.
_MOST_NAMED: Final = 200
#: The last day that has a day after it.
_LAST: Final = date.max - timedelta(days=1)


class Charged(NamedTuple):
    """The charges of a payer who prepays, in a month that is not in the ledger yet, in minor units."""

    payer: str
    month: date
    amount_minor: int


def of(payer: str, day: date | None = None) -> int:
    """Return a balance in minor units, at the end of `day`; without it, all that is on record counts."""
    return all_of([payer], day).get(payer, 0)


def all_of(payers: Collection[str] | None = None, day: date | None = None) -> Mapping[str, int]:
    """Return balances by payer: of `payers`, or of all. Without entries and charges a payer is missing: 0."""
    found: dict[str, int] = defaultdict(int)
    entries = _of(PrepaidEntry.objects.all(), payers)
    if day is not None:
        entries = entries.filter(day__lte=day)
    for payer, amount in _sums(entries, "payer"):
        found[payer] += amount
    for one in provisional(payers, day):
        found[one.payer] -= one.amount_minor
    return found


def provisional(payers: Collection[str] | None = None, day: date | None = None) -> Iterator[Charged]:
    """Yield the charges of payers who prepay, month by month, that the ledger does not have up to `day`."""
    known = modes.Modes.now()
    found = terms.started()
    if not known or found is None:
        return
    first = terms.first_open_day() or found.first_month
    day = day and min(day, _LAST)
    charges, lines = Charge.objects.all(), ManualLine.objects.all()
    if day is not None:
        first = min(first, (day + timedelta(days=1)).replace(day=1))
        charges, lines = _until(day, charges, found), _lines_until(day, lines)
    charges, lines = (_of(rows, payers).filter(month__gte=first) for rows in (charges, lines))
    sums: dict[tuple[str, date], int] = defaultdict(int)
    for rows in (charges, lines):
        for payer, month, amount in _sums(rows, "payer", "month"):
            sums[payer, month] += amount
    for one in _due_by_statement(Settled.of(month__gte=first), charges, lines):
        sums[one.payer, one.month] -= one.amount_minor
    for (payer, month), amount in sorted(sums.items()):
        if known.prepays(payer, month):
            yield Charged(payer, month, amount)


def charged(month: date) -> Mapping[str, int]:
    """Return what each payer who prepays in a month is charged in it, to be paid from credit."""
    settled, found = Settled.of(month=month), defaultdict[str, int](int)
    for rows in (Charge.objects.filter(month=month), ManualLine.objects.filter(month=month)):
        for payer, amount in _sums(rows, "payer"):
            if settled.modes.prepays(payer, month):
                found[payer] += amount
    for payer, amount in due_in(settled, month).items():
        found[payer] -= amount
    return found


def due_in(settled: Settled, month: date) -> Mapping[str, int]:
    """Return what payers who prepay owe by statement in a month, because it corrects what was not paid from credit."""
    found = defaultdict[str, int](int)
    for one in _due_by_statement(settled, Charge.objects.filter(month=month), ManualLine.objects.filter(month=month)):
        found[one.payer] += one.amount_minor
    return found


def _due_by_statement(settled: Settled, charges: QuerySet[Charge], lines: QuerySet[ManualLine]) -> Iterator[Charged]:
    """Yield those charges and lines of payers who prepay that are not paid from credit all the same."""
    for rows, wanted in ((charges, settled.charges), (lines, settled.lines)):
        for _pk, payer, month, amount in statements.rows_among(
            rows, "pk", sorted(wanted), "payer", "month", "amount_minor"
        ):
            if settled.modes.prepays(payer, month):
                yield Charged(payer, month, amount)


def _of(rows: QuerySet[Any], payers: Collection[str] | None) -> QuerySet[Any]:
    if payers is None or len(payers) > _MOST_NAMED:
        return rows
    return rows.filter(payer__in=payers)


def _sums(rows: QuerySet[Any], *by: str) -> Iterator[tuple[Any, ...]]:
    yield from rows.order_by().values(*by).annotate(sum=Sum("amount_minor")).values_list(*by, "sum")


def _until(day: date, rows: QuerySet[Charge], found: BillingTerms) -> QuerySet[Charge]:
    """Return the charges that count up to a day. Sessions of earlier months have ended before, so all of theirs do."""
    month = day.replace(day=1)
    return rows.filter(Q(month__lt=month) | Q(month=month, ended_at__lt=_after(day, found)))


def _lines_until(day: date, rows: QuerySet[ManualLine]) -> QuerySet[ManualLine]:
    """Return the lines that count up to a day. One of an earlier day whose month was closed counts in the next open one."""
    month = day.replace(day=1)
    return rows.filter(Q(month__lt=month) | Q(month=month, day__lte=day))


def _after(day: date, found: BillingTerms) -> datetime:
    """Return the first moment after a day."""
    return datetime.combine(day + timedelta(days=1), time(), terms.zone(found))

"""The feeds of sinks: items in an order that never changes.

Each item has a place, a text; places are in the order of the feed:

- charges: ``2027-01-01/c/<charge>``, then ``2027-01-01/l/<line>``, month by month as they are closed;
- months: ``2027-01-01/m``;
- usage: the position in the ledger, with 19 digits (usage/events.py);
- months of usage: the month, and two positions in the ledger (usage/months.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time
from typing import Final, Protocol

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Charge as ChargeRow
from fabgate.collector.ground.models import ClosedMonth, ManualLine, Sink, SinkLetter
from fabgate.collector.money.billing.charges import record
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import LINE, Charge, Item, Month, Site
from fabgate.collector.money.billing.sinks.usage import events
from fabgate.collector.money.billing.sinks.usage.months import UsageMonths
from fabgate.errors import UsageError

_CHARGE, _LINE, _MONTH = "c", "l", "m"
_CHUNK: Final = 1_000


class Feed(Protocol):
    """A feed of one sink."""

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:
        """Return the next items after a place, and the place up to which they are all there is.

        They are `most`, or a few more where the last ones belong together. Their names and references are empty.
        """

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the items of letters by their keys; those that are no longer in the books are left out."""

    def waiting(self, cursor: str) -> int:
        """Return how many items are after a place."""


def of(driver: type[contract.Driver], row: Sink, options: contract.Options, site: Site) -> Feed:
    """Return the feed of a sink. Raises UsageError if the sink has sent something else before."""
    feed = _of(driver, row, options, site)
    if row.cursor and not re.fullmatch(_PLACES[type(feed)], row.cursor):
        text = _(
            "%(name)s: a program with this name has received something else before; give the new program another name"
        )
        raise UsageError(text % {"name": row.name})
    return feed


def _of(driver: type[contract.Driver], row: Sink, options: contract.Options, site: Site) -> Feed:
    if options.feed == contract.CHARGES:
        return Months(options.first) if driver.most is None else Charges(options.first, only_money=driver.only_money)
    first = datetime.combine(options.first, time.min, site.zone)
    if isinstance(options, contract.MeteredOptions):
        return events.Metered(row, options, first)
    if driver.most is None and isinstance(options, contract.SettledOptions):
        # What was sent begins with the first month that was sent, also if `since` says another one later.
        begun = row.letters.order_by("month").values_list("month", flat=True).first()
        return UsageMonths(options, site.zone, begun or options.first)
    return events.Ledger(first)


# --- charges ----------------------------------------------------------------------------------------------------------


class Charges:
    """The charges and lines of closed months."""

    def __init__(self, first: date, *, only_money: bool = False) -> None:
        self._first = first
        self._only_money = only_money

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:  # noqa: ARG002 (as every feed)
        """Return the next charges of closed months, or their lines."""
        month, kind, key = _split(cursor)
        for closed in self._months(month):
            start = (kind, key) if closed.month == month else (_CHARGE, "")
            if found := self._of(closed, start, most):
                return found, found[-1].place
        return [], cursor

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the charges and lines of letters."""
        keys = {letter.key for letter in letters}
        closed = {row.month: row for row in ClosedMonth.objects.filter(month__in={letter.month for letter in letters})}
        rows = ChargeRow.objects.filter(month__in=closed)
        charges = [row for some in statements.chunks(sorted(keys)) for row in _charges(rows.filter(pk__in=some))]
        lines = [int(key) for _month, kind, key in map(_split, (letter.place for letter in letters)) if kind == _LINE]
        settled = Settled.of(month__in=sorted(closed))
        made: list[Charge] = [_charge(row, closed[row.month], settled) for row in charges]
        made += [_line(row, settled) for row in ManualLine.objects.filter(pk__in=lines, month__in=closed)]
        return {item.key: item for item in made if item.key in keys}

    def waiting(self, cursor: str) -> int:
        """Return how many charges and lines of closed months are after a place."""
        month, kind, key = _split(cursor)
        total = 0
        for closed in self._months(month):
            if closed.month != month and not self._only_money:
                total += closed.charges + closed.lines
                continue
            at = (kind, key) if closed.month == month else (_CHARGE, "")
            total += self._charges(closed, at).count() + self._lines(closed, at).count()
        return total

    def _months(self, month: date | None) -> list[ClosedMonth]:
        return list(ClosedMonth.objects.filter(month__gte=max(self._first, month or self._first)).order_by("month"))

    def _of(self, closed: ClosedMonth, start: tuple[str, str], most: int) -> list[Item]:
        settled = Settled.of(month=closed.month)
        found: list[Item] = [_charge(row, closed, settled) for row in _charges(self._charges(closed, start))[:most]]
        return found or [_line(row, settled) for row in self._lines(closed, start).order_by("pk")[:most]]

    def _charges(self, closed: ClosedMonth, start: tuple[str, str]) -> QuerySet[ChargeRow]:
        rows = ChargeRow.objects.filter(month=closed.month)
        rows = rows.filter(pk__gt=start[1]) if start[0] == _CHARGE else rows.none()
        return rows.exclude(amount_minor=0) if self._only_money else rows

    def _lines(self, closed: ClosedMonth, start: tuple[str, str]) -> QuerySet[ManualLine]:
        after = int(start[1]) if start[0] == _LINE else 0
        return ManualLine.objects.filter(month=closed.month, pk__gt=after)


class Months:
    """Closed months, each as a whole."""

    def __init__(self, first: date) -> None:
        self._first = first

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:  # noqa: ARG002 (as every feed)
        """Return the next closed month."""
        closed = self._after(cursor).order_by("month").first()
        if closed is None:
            return [], cursor
        found = _month(closed)
        return [found], found.place

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the months of letters."""
        rows = ClosedMonth.objects.filter(month__in={letter.month for letter in letters})
        keys = {letter.key for letter in letters}
        return {item.key: item for item in map(_month, rows) if item.key in keys}

    def waiting(self, cursor: str) -> int:
        """Return how many closed months are after a place."""
        return self._after(cursor).count()

    def _after(self, cursor: str) -> QuerySet[ClosedMonth]:
        month = _split(cursor)[0]
        rows = ClosedMonth.objects.filter(month__gte=self._first)
        return rows if month is None else rows.filter(month__gt=month)


def _month(closed: ClosedMonth) -> Month:
    def read() -> Iterator[Charge]:
        settled = Settled.of(month=closed.month)
        for row in _charges(ChargeRow.objects.filter(month=closed.month)).iterator(chunk_size=_CHUNK):
            yield _charge(row, closed, settled)
        for line in ManualLine.objects.filter(month=closed.month).order_by("pk").iterator():
            yield _line(line, settled)

    charges, lines = (rows.filter(month=closed.month) for rows in (ChargeRow.objects, ManualLine.objects))
    paying = {*charges.values_list("payer", flat=True).distinct(), *lines.values_list("payer", flat=True).distinct()}
    return Month(
        key=str(closed),
        place=f"{closed.month}/{_MONTH}",
        month=closed.month,
        closed_at=closed.closed_at,
        sha256=closed.sha256,
        amount=closed.amount_minor,
        read=read,
        payers=dict.fromkeys(sorted(paying), ("", "")),
    )


def _charges(rows: QuerySet[ChargeRow]) -> QuerySet[ChargeRow]:
    return rows.select_related("terms").order_by("pk")


def _charge(row: ChargeRow, closed: ClosedMonth, settled: Settled) -> Charge:
    rule = row.terms.snapshot.get("rule", {}) if row.terms else {}
    return Charge(
        key=row.pk,
        place=f"{row.month}/{_CHARGE}/{row.pk}",
        month=row.month,
        of_month=row.of_month,
        payer=row.payer,
        amount_minor=row.amount_minor,
        settlement=settled.charge(row.pk, row.payer, row.month),
        kind=row.kind,
        vat_code=rule.get("vat_code", ""),
        reverses=row.reverses,
        session=row.session,
        used_by=row.used_by,
        machine=row.machine,
        machine_category=closed.terms["categories"].get(row.machine, ""),
        plan=row.plan,
        purpose=row.purpose,
        started_at=row.started_at,
        ended_at=row.ended_at,
        counted_ms=row.counted_ms,
        running_ms=row.running_ms,
    )


def _line(row: ManualLine, settled: Settled) -> Charge:
    values = (row.pk, row.month, row.payer, row.text, row.amount_minor, row.vat_code, row.session, row.author)
    return Charge(
        key=record.line_id(*values, row.at, row.day),
        place=f"{row.month}/{_LINE}/{row.pk:019d}",
        month=row.month,
        of_month=row.day.replace(day=1),
        payer=row.payer,
        amount_minor=row.amount_minor,
        settlement=settled.line(row.pk, row.payer, row.month),
        kind=LINE,
        vat_code=row.vat_code,
        text=row.text,
        day=row.day,
        session=row.session,
        used_by=row.payer,
        ended_at=row.at,
    )


def _split(cursor: str) -> tuple[date | None, str, str]:
    month, _slash, rest = cursor.partition("/")
    kind, _slash, key = rest.partition("/")
    return (date.fromisoformat(month) if month else None), kind, key


_DAY: Final = r"\d{4}-\d\d-\d\d"
#: The places of each feed, as regular expressions.
_PLACES: Final[Mapping[type, str]] = {
    Charges: rf"{_DAY}/[{_CHARGE}{_LINE}]/.+",
    Months: rf"{_DAY}/{_MONTH}",
    events.Ledger: r"\d{19}",
    events.Metered: r"\d{19}",
    UsageMonths: rf"{_DAY}/\d{{19}}-\d{{19}}",
}

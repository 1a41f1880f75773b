"""The usage of a month as a whole, for sinks that write files.

A month is ready some days after its end, so that late entries and corrections are in it. It has the sessions that ended in
it, as they are then. A session that changes later, or becomes known later, is in the month that is ready next: what was sent
before is reversed, and what the session is now follows. So the sum of all months is always what the sessions are.

The place of a month has the lines of the ledger between which it was made. They decide its contents, so it can be made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from django.db.models import Max, Q

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import LedgerLine, SinkLetter
from fabgate.collector.money.billing.sinks.contract import Item, SettledOptions, Usage, UsageMonth
from fabgate.collector.money.billing.sinks.usage import events

#: How long after it is settled a month is made: transactions that began before have ended then.
_LATER: Final = timedelta(hours=1)
_MONTH: Final = timedelta(days=31)
_REVERSAL: Final = "reversal"


class _Span(NamedTuple):
    """A month, and the lines of the ledger between which it was made: after the first one, up to the last one."""

    month: date
    after: int
    until: int

    @property
    def place(self) -> str:
        return f"{self.month}/{self.after:019d}-{self.until:019d}"

    @classmethod
    def of(cls, place: str) -> _Span:
        month, _slash, lines = place.partition("/")
        after, _dash, until = lines.partition("-")
        return cls(date.fromisoformat(month), int(after), int(until))


class UsageMonths:
    """The months from the first one on that are settled."""

    def __init__(self, options: SettledOptions, zone: ZoneInfo, first: date) -> None:
        self._options = options
        self._zone = zone
        self._first = first

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:  # noqa: ARG002 (as every feed)
        """Return the next month, if it is settled."""
        if (span := self._next(cursor, now)) is None:
            return [], cursor
        return [self._made(span)], span.place

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the months of letters."""
        return {letter.key: self._made(_Span.of(letter.place)) for letter in letters}

    def waiting(self, cursor: str) -> int:
        """Return how many months are settled and after a place."""
        month, now, count = self._following(cursor), datetime.now(UTC), 0
        while self._settled(month) + _LATER <= now:
            month, count = _after(month), count + 1
        return count

    def _following(self, cursor: str) -> date:
        return _after(_Span.of(cursor).month) if cursor else self._first

    def _start(self, day: date) -> datetime:
        return datetime.combine(day, time.min, self._zone)

    def _settled(self, month: date) -> datetime:
        return self._start(_after(month) + timedelta(days=self._options.settle_days))

    def _next(self, cursor: str, now: datetime) -> _Span | None:
        month = self._following(cursor)
        settled = self._settled(month)
        if settled + _LATER > now:
            return None
        after = _Span.of(cursor).until if cursor else 0
        later = LedgerLine.objects.filter(pk__gt=after, at__gt=settled).order_by("pk").values_list("pk", flat=True)
        if (first := later.first()) is not None:
            return _Span(month, after, first - 1)
        newest = LedgerLine.objects.aggregate(last=Max("pk"))["last"] or 0
        return _Span(month, after, max(after, newest))

    def _made(self, span: _Span) -> UsageMonth:
        rows = sorted(self._rows(span), key=lambda row: (row.ended_at or row.at, row.session, not row.reverses))
        return UsageMonth(
            key=f"{span.month:%Y-%m}",
            place=span.place,
            month=span.month,
            settled_at=self._settled(span.month),
            amount=sum(row.counted_ms for row in rows),
            rows=tuple(rows),
            payers=dict.fromkeys(sorted({row.payer for row in rows}), ("", "")),
        )

    def _rows(self, span: _Span) -> Iterator[Usage]:
        start, end = self._start(span.month), self._start(_after(span.month))
        changed = Q(pk__gt=span.after) | Q(ended_at__gte=start, ended_at__lt=end)
        lines = LedgerLine.objects.filter(changed, pk__lte=span.until).order_by()
        for some in statements.chunks(sorted(set(lines.values_list("session_id", flat=True)))):
            before, now = self._as_of(some, span.after, start), self._as_of(some, span.until, end)
            for session in some:
                yield from _difference(before.get(session), now.get(session), f"{span.month:%Y-%m}", span.place)

    def _as_of(self, sessions: Collection[str], until: int, end: datetime) -> Mapping[str, Usage]:
        """Return what counts of sessions that ended before `end`, by their newest lines up to one."""
        lines = LedgerLine.objects.filter(session__in=sessions, pk__lte=until).order_by()
        newest = lines.values("session").annotate(last=Max("pk")).values_list("last", flat=True)
        found = map(events.as_it_was, LedgerLine.after(0).filter(pk__in=list(newest)))
        return {one.session: one for one in found if self._counts(one, end)}

    def _counts(self, one: Usage, end: datetime) -> bool:
        return (
            one.ended_at is not None
            and self._start(self._first) <= one.ended_at < end
            and not one.review
            and events.is_usage(one)
        )


def _difference(before: Usage | None, now: Usage | None, month: str, place: str) -> Iterator[Usage]:
    """Yield the rows of a session: what was sent before is reversed, and what it is now follows."""
    if before is not None and now is not None and events.contents(before) == events.contents(now):
        return
    if before is not None:
        gone = events.reversal(before, before, f"{month}/{before.session}/{_REVERSAL}")
        yield msgspec.structs.replace(gone, place=place)
    if now is not None:
        yield msgspec.structs.replace(now, key=f"{month}/{now.session}", place=place)


def _after(month: date) -> date:
    return (month + _MONTH).replace(day=1)

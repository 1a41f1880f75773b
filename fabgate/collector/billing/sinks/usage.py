"""What sinks get about the usage of sessions: each line of the ledger, or what changed since they were last told.

A meter adds up what it is told, so it is told differences, and only once a session is settled: nothing about it has
changed for some days, and no review is open. Each difference names the first one of its session.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from django.db.models import Q, QuerySet

from fabgate.collector.billing import rating
from fabgate.collector.billing.charges import record
from fabgate.collector.billing.sinks.contract import Item, MeteredOptions, Usage
from fabgate.collector.db import statements
from fabgate.collector.models import LedgerLine, Sink, SinkLetter, UsageSession

#: Lines of the ledger that are looked at together: most of them are skipped where a month is told again.
_LINES: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def place_of(position: int) -> str:
    """Return the place of a line of the ledger."""
    return f"{position:019d}"


def _lines(cursor: str, first: datetime) -> QuerySet[LedgerLine]:
    """Return the lines after a place, of sessions that ended since `first`."""
    lines = LedgerLine.after(int(cursor or 0))
    return lines.filter(Q(ended_at__gte=first) | Q(ended_at=None, at__gte=first))


class Ledger:
    """Each line of the ledger: a session as it ended, and as it was after each change."""

    def __init__(self, first: datetime) -> None:
        self._first = first

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:  # noqa: ARG002 (as every feed)
        """Return the next lines."""
        found: list[Item] = [_as_it_was(line) for line in _lines(cursor, self._first)[:most]]
        return found, found[-1].place if found else cursor

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return the lines of letters."""
        places = sorted({int(letter.place) for letter in letters})
        lines = LedgerLine.after(0)
        found = [_as_it_was(line) for some in statements.chunks(places) for line in lines.filter(pk__in=some)]
        keys = {letter.key for letter in letters}
        return {item.key: item for item in found if item.key in keys}

    def waiting(self, cursor: str) -> int:
        """Return how many lines are after a place."""
        return _lines(cursor, self._first).count()


def _as_it_was(line: LedgerLine) -> Usage:
    """Return a session as a line of the ledger has it.

    The key has the time as well: after a restore, another line may have the position.
    """
    return Usage(
        key=f"{line.pk}.{(line.at - _EPOCH) // timedelta(microseconds=1)}",
        place=place_of(line.pk),
        kind=line.kind,
        at=line.at,
        session=line.session_id,
        payer=line.payer or line.used_by,
        used_by=line.used_by,
        purpose=line.purpose,
        gate=line.session.gate.name,
        machine=line.session.machine_name,
        machine_category=line.session.machine.category if line.session.machine else "",
        category=line.category,
        started_at=line.started_at,
        ended_at=line.ended_at,
        counted_ms=line.counted_ms,
        running_ms=line.running_ms,
        uncertainty_ms=line.uncertainty_ms,
        reason=line.reason,
        review=line.review,
    )


# --- differences ------------------------------------------------------------------------------------------------------


class _Bucket(NamedTuple):
    """What a meter groups by: a difference stands in one of these."""

    payer: str
    used_by: str
    machine: str
    machine_category: str
    purpose: str


class Metered:
    """What changed about settled sessions since the sink was last told."""

    def __init__(self, row: Sink, options: MeteredOptions, first: datetime) -> None:
        self._row = row
        self._options = options
        self._first = first

    def after(self, cursor: str, most: int, now: datetime) -> tuple[list[Item], str]:
        """Return the next differences. A line that a later one replaces, or that is in review, is skipped."""
        settled = now - timedelta(days=self._options.settle_days)
        found: list[Item] = []
        for lines in self._chunks(cursor):
            told = self._told({line.session_id for line in lines})
            for line in lines:
                if line.at > settled or len(found) >= most:
                    return found, cursor
                if _is_current(line):
                    found += self._differences(line, told[line.session_id])
                cursor = place_of(line.pk)
        return found, cursor

    def again(self, letters: Collection[SinkLetter]) -> dict[str, Item]:
        """Return what letters say."""
        return {letter.key: msgspec.convert(letter.data, Usage) for letter in letters if letter.data}

    def waiting(self, cursor: str) -> int:
        """Return how many lines have not been looked at yet."""
        return _lines(cursor, self._first).count()

    def _chunks(self, cursor: str) -> Iterator[list[LedgerLine]]:
        while lines := list(_lines(cursor, self._first)[:_LINES]):
            yield lines
            cursor = place_of(lines[-1].pk)

    def _told(self, sessions: Collection[str]) -> dict[str, list[Usage]]:
        """Return what the sink was told about sessions, also what it refused: a person sees to that."""
        told: dict[str, list[Usage]] = defaultdict(list)
        for some in statements.chunks(sorted(sessions)):
            rows = SinkLetter.objects.filter(session__in=some, sink=self._row).exclude(session="").order_by("pk")
            for letter in rows:
                told[letter.session].append(msgspec.convert(letter.data, Usage))
        return told

    def _differences(self, line: LedgerLine, told: list[Usage]) -> list[Usage]:
        wanted = _as_it_was(line)
        sums: dict[_Bucket, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for one in told:
            counted_ms, running_ms = sums[_bucket(one)]
            sums[_bucket(one)] = counted_ms + one.counted_ms, running_ms + one.running_ms
        target = (wanted.counted_ms, wanted.running_ms) if self._is_metered(wanted) else (0, 0)
        buckets = [*sums, *({_bucket(wanted)} - sums.keys())]
        made: list[Usage] = []
        for bucket in buckets:
            goal = target if bucket == _bucket(wanted) else (0, 0)
            counted_ms, running_ms = goal[0] - sums[bucket][0], goal[1] - sums[bucket][1]
            if counted_ms or running_ms:
                before = [one.key for one in (*told, *made)]
                made.append(_difference(wanted, bucket, counted_ms, running_ms, before))
        told += made
        return made

    def _is_metered(self, usage: Usage) -> bool:
        options = self._options
        return (
            usage.kind != LedgerLine.WITHDRAWN
            and usage.purpose in options.purposes
            and not usage.used_by.startswith(rating.EMERGENCY)
            and (not options.categories or usage.machine_category in options.categories)
        )


def _difference(wanted: Usage, bucket: _Bucket, counted_ms: int, running_ms: int, before: list[str]) -> Usage:
    """Return a difference. Its key depends on all that was told of the session before."""
    values = (wanted.session, *bucket, wanted.started_at, wanted.ended_at, counted_ms, running_ms, *before)
    return msgspec.structs.replace(
        wanted,
        **bucket._asdict(),
        key=record.usage_id(values),
        counted_ms=counted_ms,
        running_ms=running_ms,
        first=before[0] if before else "",
    )


def _bucket(usage: Usage) -> _Bucket:
    return _Bucket(*(getattr(usage, name) for name in _Bucket._fields))


def _is_current(line: LedgerLine) -> bool:
    """Return whether the session is still as the line has it, and not in review; a later line has what changed."""
    now: UsageSession = line.session
    if line.kind == LedgerLine.WITHDRAWN:
        return now.reason is None
    values: tuple[Any, ...] = (now.used_by, now.payer, now.purpose, now.ended_at, now.counted_ms)
    return (
        now.reason is not None
        and now.review is None
        and not line.review
        and values == (line.used_by, line.payer, line.purpose, line.ended_at, line.counted_ms)
        and now.counted_running_ms == line.running_ms
    )

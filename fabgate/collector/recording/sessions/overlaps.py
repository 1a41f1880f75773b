"""Finds sessions of one gate that overlap. A gate runs one session at a time, so one of the two must be wrong.

In a handover the first session has ended when the second begins. A session that was cancelled before power went on does
not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from django.db import connection
from msgspec import Struct

from fabgate.collector.ground.db import bulk, statements
from fabgate.collector.ground.models.sessions.counted import WRITTEN_LATER
from fabgate.collector.ground.models.sessions.words import JOURNAL_LOST
from fabgate.collector.recording.sessions.merge import (
    LONGEST,
    MAX_DRIFT,
    OVERLAP,
    TOO_LONG,
    TOO_MUCH_RUNNING,
    TOO_MUCH_TIME,
    DerivedSession,
    are_apart,
    was_clock_set,
)

_MS: Final = timedelta(milliseconds=1)
_COLUMNS: Final = (
    *("id", "gate_id", "start_boot", "start_boottime_ms", "last_boot", "last_boottime_ms", "started_at", "ended_at"),
    *("reason", "energised_ms", "uncertainty_ms", "doubt"),
)
#: At most this many sessions of a gate that share a moment of the wall clock are compared. A clock that was set back a
#: few times never gives more; if there are more, all of them are in doubt.
MOST_AT_ONCE: Final = 50
#: Doubts that an overlap does not replace, because they are as grave.
_AS_GRAVE: Final = frozenset({OVERLAP, JOURNAL_LOST, TOO_MUCH_TIME, TOO_MUCH_RUNNING, TOO_LONG})
_SELECT: Final = (
    f"SELECT {', '.join(f's.{column}' for column in _COLUMNS)}, s.start_timed, s.last_timed, s.machine_id FROM "  # noqa: S608
)
_WHERE: Final = (
    " s.ended_at > wanted.first AND s.ended_at < wanted.most AND s.started_at < wanted.last AND s.has_start"
    " AND s.not_after IS NULL AND s.clock_off_ms IS NULL"
)
#: One query for all gates of a batch; for each gate SQLite uses the index by machine.
_AT_MACHINE: Final = (
    f"{_SELECT} wanted CROSS JOIN collector_usagesession s"
    f" WHERE s.machine_id = wanted.machine AND s.gate_id + 0 = wanted.gate AND {_WHERE}"
)
#: Sessions without a machine are together in that index: they are read once, not once for each gate.
_WITHOUT_MACHINE: Final = (
    f"{_SELECT} collector_usagesession s CROSS JOIN wanted"  # noqa: S608  (constants)
    " WHERE s.machine_id IS NULL AND s.ended_at > (SELECT min(first) FROM wanted)"
    f" AND s.ended_at < (SELECT max(most) FROM wanted) AND s.gate_id = wanted.gate AND {_WHERE}"
)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
#: (gate's id, machine's id)
_Place = tuple[int, int | None]


class Span(Struct, frozen=True, gc=False):
    """When a session took place, by the clock of its boot and by the wall clock."""

    id: str
    gate_id: int
    start_boot: str
    start_ms: int
    last_boot: str
    last_ms: int
    began: datetime
    ended: datetime
    #: Its doubt so far.
    doubt: str | None = None

    def overlaps(self, other: Span) -> bool:
        """Return whether the two overlap: by the wall clock, and also by the boot clock if both belong to one boot."""
        if self.began >= other.ended or other.began >= self.ended:
            return False
        if self.start_boot == self.last_boot == other.start_boot == other.last_boot:
            return self.start_ms < other.last_ms and other.start_ms < self.last_ms
        return self.began + MAX_DRIFT < other.ended and other.began + MAX_DRIFT < self.ended


def find(rows: Collection[DerivedSession], before: Mapping[str, DerivedSession]) -> tuple[set[str], set[str]]:
    """Return the ids of `rows` that overlap a session of their gate, and of other sessions to judge again.

    The others overlap `rows` and are not marked yet, or overlapped `before` and are marked. This runs with every batch
    and usually finds no overlap, which the dates alone show cheaply.
    """
    of_place: dict[_Place, list[DerivedSession]] = defaultdict(list)
    was: dict[_Place, list[Span]] = defaultdict(list)
    for row in rows:
        if row.reason is not None:
            of_place[row.gate_id, row.machine_id].append(row)
        old = before.get(row.id)
        if old is not None and old.reason is not None and (span := _span(old)) is not None:
            was[row.gate_id, row.machine_id].append(span)
    stored = _stored(of_place, was)
    known = {row.id for row in rows} if stored else set()
    found: set[str] = set()
    others: set[str] = set()
    for place in of_place.keys() | was.keys():
        there = [span for span in stored.get(place, ()) if span.id not in known]
        if not was[place] and _are_apart(of_place[place], there):
            continue
        spans = [span for row in of_place[place] if (span := _span(row)) is not None]
        overlap = _overlapping(spans, there)
        found |= {span.id for span in spans if span.id in overlap}
        others |= {span.id for span in there if span.id in overlap and span.doubt not in _AS_GRAVE}
        if moved := _moved(was[place], spans):
            overlapped = _overlapping(moved, there)
            others |= {span.id for span in there if span.id in overlapped and span.doubt == OVERLAP}
    return found, others


def _moved(was: list[Span], now: list[Span]) -> list[Span]:
    """Return the earlier spans of sessions that have changed."""
    dates = {span.id: (span.began, span.ended, span.start_ms, span.last_ms) for span in now}
    return [span for span in was if dates.get(span.id) != (span.began, span.ended, span.start_ms, span.last_ms)]


def _are_apart(rows: list[DerivedSession], there: list[Span]) -> bool:
    """Return whether each session began after the end of the last one, by the dates of their entries."""
    dates = [(row.started_at or _NEVER, row.ended_at or _NEVER) for row in rows]
    dates += [(span.began, span.ended) for span in there]
    last = _NEVER
    for began, ended in sorted(dates):
        if began < last:
            return False
        last = max(last, ended)
    return True


def _overlapping(spans: list[Span], there: list[Span]) -> set[str]:
    """Return the ids of `spans` that overlap another span, and of those in `there` that overlap one of `spans`.

    All are of one gate. If more than MOST_AT_ONCE overlap at one moment, all of them count, so that the work does not
    grow with the number of pairs.
    """
    own = {span.id for span in spans}
    found: set[str] = set()
    running: list[Span] = []
    for span in sorted([*spans, *there], key=lambda span: (span.began, span.id)):
        running = [other for other in running if other.ended > span.began]
        if len(running) >= MOST_AT_ONCE:
            found.add(span.id)
            found |= {other.id for other in running}
            running.remove(min(running, key=lambda other: other.ended))
        else:
            for other in running:
                if (other.id in own or span.id in own) and other.overlaps(span):
                    found |= {other.id, span.id}
        running.append(span)
    return found


def _span(row: DerivedSession) -> Span | None:
    """Return when a session took place; None if it is open, has no dates or wrong ones, or never had power."""
    if row.reason is None or not row.has_start or row.not_after is not None or row.clock_off_ms is not None:
        return None
    if row.started_at is None or row.ended_at is None or was_clock_set(row):
        return None
    return _made(*_columns(row))


def _made(*values: Any) -> Span | None:
    *head, began, ended, reason, energised_ms, uncertainty_ms, doubt = values
    if not energised_ms and not uncertainty_ms:
        return None
    if reason in WRITTEN_LATER:  # the end is dated at the gate's next start
        ended = min(ended, began + (energised_ms + uncertainty_ms) * _MS)
    if ended - began > LONGEST:  # it is marked as TOO_LONG, so sessions within it are not marked
        return None
    session, gate, *clocks = head
    start_boot, start_ms, last_boot, last_ms = clocks
    return Span(session, gate, start_boot, start_ms, last_boot, last_ms, began, ended, doubt)


_columns = attrgetter(*_COLUMNS)


def _stored(rows: Mapping[_Place, list[DerivedSession]], was: Mapping[_Place, list[Span]]) -> dict[_Place, list[Span]]:
    """Return the stored sessions, by gate and machine, that may overlap `rows` or what these were before."""
    time = bulk.to_database()
    placed: list[list[Any]] = []
    without: list[list[Any]] = []
    for gate, machine in rows.keys() | was.keys():
        dates = [(row.started_at, row.ended_at) for row in rows.get((gate, machine), ()) if row.started_at]
        dates += [(span.began, span.ended) for span in was.get((gate, machine), ())]
        if dates:
            first, last = min(began for began, _ in dates), max(ended for _, ended in dates if ended)
            limits = [machine or 0, gate, time(first), time(last), time(last + LONGEST)]
            (without if machine is None else placed).append(limits)
    found: dict[_Place, list[Span]] = defaultdict(list)
    for query, wanted in ((_AT_MACHINE, placed), (_WITHOUT_MACHINE, without)):
        for chunk in statements.chunks(wanted):
            for row in set(_fetch(query, chunk)):
                values: list[Any] = [
                    value.replace(tzinfo=UTC) if isinstance(value, datetime) and not value.tzinfo else value
                    for value in row
                ]
                *columns, start_timed, last_timed, machine = values
                span = _made(*columns)
                if span is not None and not (start_timed and last_timed and _was_clock_set(columns)):
                    found[span.gate_id, machine].append(span)
    return found


def _was_clock_set(columns: Sequence[Any]) -> bool:
    """Do the same as merge.was_clock_set for a stored session, whose end may have been written at a later start."""
    start_boot, start_ms, last_boot, last_ms, began, ended = columns[2:8]
    return start_boot == last_boot and are_apart(began, ended, last_ms - start_ms)


def _fetch(query: str, wanted: Sequence[list[Any]]) -> list[tuple[Any, ...]]:
    _placeholders, padded = statements.listed(wanted)  # few lengths, so that SQLite does not prepare a new statement
    moment = "%s" if connection.vendor == "sqlite" else "CAST(%s AS timestamptz)"
    values = ", ".join([f"(%s, %s, {moment}, {moment}, {moment})"] * len(padded))
    statement = f"WITH wanted (machine, gate, first, last, most) AS (VALUES {values}) {query}"
    with statements.cursor() as cursor:
        cursor.execute(statement, [value for row in padded for value in row])
        return cursor.fetchall()

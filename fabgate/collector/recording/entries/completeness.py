"""Computes until when the records are complete: every entry that gates reported to have written by then is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Entry, Gate, Hole, Journal
from fabgate.collector.recording.entries import journals


@dataclass(frozen=True, slots=True)
class Records:
    """How complete the records are. No entry older than `until` is missing; `behind` are the gates that hold it back.

    `lost` counts entries that no gate has any more. `until` is None if no gate has ever reported.
    """

    until: datetime | None
    behind: tuple[str, ...]
    lost: int


def now() -> Records:
    """Return how complete the records are now, limited by the gate that is furthest behind."""
    newest = Journal.newest("ack_seq", "head", "gate__name", "gate__seen_at")
    behind = [journal for journal in newest if journal.ack_seq < journal.head]
    stored = last_stored(behind, is_acknowledged=True)
    dates = [journal.gate.seen_at for journal in newest if journal not in behind]
    dates += [stored[journal.pk].at_latest for journal in behind if journal.pk in stored]
    lost = sum(hole.last - hole.first + 1 for hole in Hole.objects.filter(state=Hole.LOST).only("first", "last"))
    return Records(
        until=min(filter(None, dates), default=None),
        behind=tuple(journal.gate.name for journal in behind),
        lost=lost,
    )


@dataclass(frozen=True, slots=True)
class GateRecords:
    """How complete the records of one gate are. No entry older than `until` is missing; None if that is not known.

    A gate that reported entries which are missing `is_behind`. It counts in any case; another one counts while its machine
    is in use.
    """

    gate: str
    until: datetime | None
    is_behind: bool
    counts: bool


def by_gate() -> list[GateRecords]:
    """Return how complete the records of each gate are, in the order of their names.

    A gate that has delivered everything it reported may have written more since it was last seen.
    """
    newest = Journal.newest("ack_seq", "head", "gate__name", "gate__seen_at")
    in_use = set(Gate.objects.filter(machine__isnull=False, machine__retired_at=None).values_list("pk", flat=True))
    behind = {journal.pk for journal in newest if journal.ack_seq < journal.head}
    unseen = [journal for journal in newest if journal.pk not in behind and journal.gate.seen_at is None]
    stored = {
        **last_stored([journal for journal in newest if journal.pk in behind], is_acknowledged=True),
        **last_stored(unseen),
    }
    found = []
    for journal in newest:
        gate, last = journal.gate, stored.get(journal.pk)
        until = last.at_latest if last is not None else None if journal.pk in behind else gate.seen_at
        counts = journal.pk in behind or gate.pk in in_use
        found.append(GateRecords(gate.name, until, journal.pk in behind, counts))
    return sorted(found, key=lambda one: one.gate)


def complete_until(gates: Iterable[GateRecords]) -> datetime | None:
    """Return until when the records of all gates that count are complete; None if that is not known."""
    dates = [one.until for one in gates if one.counts]
    known = [date for date in dates if date is not None]
    return min(known) if known and len(known) == len(dates) else None


def incomplete_before(end: datetime) -> list[str]:
    """Return the names of the gates that may still have entries from before `end`."""
    return [one.gate for one in by_gate() if one.counts and (one.until is None or one.until < end)]


def last_stored(wanted: Collection[Journal], *, is_acknowledged: bool = False) -> dict[int, Entry]:
    """Return the last stored entry, or the last acknowledged one, of each journal, by the journal's id."""
    if not wanted:
        return {}
    own = Entry.objects.filter(journal=OuterRef("pk")).order_by("-seq")
    if is_acknowledged:
        own = own.filter(seq__lte=OuterRef("ack_seq"))
    rows = Journal.objects.annotate(last=Subquery(own.values("pk")[:1])).filter(last__isnull=False)
    found = dict(statements.rows_among(rows, "pk", [journal.pk for journal in wanted], "last"))
    dates = Entry.objects.only("journal", "seq", "arrived_at", "occurred_at").in_bulk(list(found.values()))
    return {journal: dates[last] for journal, last in found.items()}


def awaited(rows: Collection[Journal]) -> dict[int, list[tuple[int, int]]]:
    """Return the ranges of numbers that are still expected, by the journal's id.

    Later numbers are stored, or the gate has reported that it wrote them.
    """
    heads = {pk: entry.seq for pk, entry in last_stored(rows).items()}
    return journals.missing_of(
        [(journal, min(max(journal.head, heads.get(journal.pk, 0)), journal.last_own)) for journal in rows]
    )

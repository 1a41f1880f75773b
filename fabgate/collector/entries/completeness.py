"""Computes until when the records are complete: every entry that gates reported to have written by then is stored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from fabgate.collector.db import statements
from fabgate.collector.entries import journals
from fabgate.collector.models import Entry, Gate, Hole, Journal


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


def incomplete_before(end: datetime) -> list[str]:
    """Return the names of the gates that may still have entries from before `end`.

    A gate that has delivered everything it reported may have written more since it was last seen. It counts while its
    machine is in use; a gate that reported entries which are missing counts in any case.
    """
    columns = "ack_seq", "head", "gate__name", "gate__seen_at", "gate__machine__retired_at"
    newest = Journal.newest(*columns, "gate__machine")
    behind = [journal for journal in newest if journal.ack_seq < journal.head]
    unseen = [journal for journal in newest if journal not in behind and not _is_seen_after(journal.gate, end)]
    in_use = [journal for journal in unseen if journal.gate.machine and journal.gate.machine.retired_at is None]
    stored = {
        **last_stored(behind, is_acknowledged=True),
        **last_stored([row for row in in_use if not row.gate.seen_at]),
    }
    return sorted(
        journal.gate.name
        for journal in (*behind, *in_use)
        if journal.pk not in stored or stored[journal.pk].at_latest < end
    )


def _is_seen_after(gate: Gate, end: datetime) -> bool:
    return gate.seen_at is not None and gate.seen_at >= end


def last_stored(wanted: Collection[Journal], *, is_acknowledged: bool = False) -> dict[int, Entry]:
    """Return the last stored entry, or the last acknowledged one, of each journal, by the journal's id."""
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

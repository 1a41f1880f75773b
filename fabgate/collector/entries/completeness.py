"""Up to when are the records complete? What every gate has said is stored up to then; seals and hashes, in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from fabgate.collector.db import statements
from fabgate.collector.entries import journals
from fabgate.collector.models import Entry, Hole, Journal


@dataclass(frozen=True, slots=True)
class Records:
    """How complete the records are: nothing is awaited from before `until`; `behind` names the gates that hold it back.

    `lost` counts the entries that no gate has any more. `until` is None where no gate has ever been heard.
    """

    until: datetime | None
    behind: tuple[str, ...]
    lost: int


def now() -> Records:
    """Return how complete the records are now: as much as the gate that is furthest behind."""
    newest = Journal.newest("ack_seq", "head", "gate__name", "gate__seen_at")
    behind = [journal for journal in newest if journal.ack_seq < journal.head]
    stored = last_stored(behind, is_acknowledged=True)
    said = [journal.gate.seen_at for journal in newest if journal not in behind]
    said += [stored[journal.pk].at_latest for journal in behind if journal.pk in stored]
    lost = sum(hole.last - hole.first + 1 for hole in Hole.objects.filter(state=Hole.LOST).only("first", "last"))
    return Records(
        until=min(filter(None, said), default=None),
        behind=tuple(journal.gate.name for journal in behind),
        lost=lost,
    )


def last_stored(wanted: Collection[Journal], *, is_acknowledged: bool = False) -> dict[int, Entry]:
    """Return the entry of the highest number of each journal, by its row; or of those that it may forget by now."""
    own = Entry.objects.filter(journal=OuterRef("pk")).order_by("-seq")
    if is_acknowledged:
        own = own.filter(seq__lte=OuterRef("ack_seq"))
    rows = Journal.objects.annotate(last=Subquery(own.values("pk")[:1])).filter(last__isnull=False)
    found = dict(statements.rows_among(rows, "pk", [journal.pk for journal in wanted], "last"))
    dates = Entry.objects.only("journal", "seq", "arrived_at", "occurred_at").in_bulk(list(found.values()))
    return {journal: dates[last] for journal, last in found.items()}


def awaited(rows: Collection[Journal]) -> dict[int, list[tuple[int, int]]]:
    """Return for each journal, by its row, the numbers that are on their way, in runs.

    Later ones are here, or the gate has said that it has them.
    """
    heads = {pk: entry.seq for pk, entry in last_stored(rows).items()}
    return journals.missing_of([(one, min(max(one.head, heads.get(one.pk, 0)), one.last_own)) for one in rows])

"""Up to when are the records complete? What every gate has said is stored up to then; seals and hashes, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    until: datetime | None = None
    behind = []
    for journal in Journal.newest("ack_seq", "head", "gate__name", "gate__seen_at"):
        seen = journal.gate.seen_at
        if journal.ack_seq < journal.head:
            behind.append(journal.gate.name)
            seen = _last_stored(journal)
        if seen is not None:
            until = seen if until is None else min(until, seen)
    lost = sum(hole.last - hole.first + 1 for hole in Hole.objects.filter(state=Hole.LOST).only("first", "last"))
    return Records(until=until, behind=tuple(behind), lost=lost)


def _last_stored(journal: Journal) -> datetime | None:
    last = Entry.objects.filter(journal=journal, seq__lte=journal.ack_seq).order_by("-seq").first()
    return None if last is None else last.at_latest

"""Stores messages that are not valid entries, and limits how many are kept of each gate.

A message that takes the place of its number (`counts`) is kept forever, as entries are, because the acknowledgement
needs it. The others are only evidence for people, and a gate could fill the disk with them: the newest of each gate are
kept for a while. Decided in docs/decisions/0031.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models.functions import Length

from fabgate.collector.ground.db import bulk, statements
from fabgate.collector.ground.models import Quarantine
from fabgate.collector.recording.entries.decode import InvalidMessage

_QUARANTINE = """
INSERT INTO collector_quarantine (gate_id, topic, journal_id, journal_name, seq, reason, detail, hash, body, counts,
    times, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s)
ON CONFLICT (journal_name, seq, hash, topic) DO UPDATE SET times = collector_quarantine.times + 1,
    counts = excluded.counts OR collector_quarantine.counts, last_at = excluded.last_at"""

#: Limits for each gate of messages that take no number's place, in rows and bytes; the newest are kept.
MOST_ROWS: Final = 1_000
MOST_BYTES: Final = 4 * 1024 * 1024
#: How long such a message is kept after its last repetition.
KEPT: Final = timedelta(days=90)
#: How many bytes are kept of a message that takes the place of its number: more than any valid entry has.
MOST_OF_NUMBERED: Final = 4 * 1024

#: (gate's id, or None if the topic names no gate of this site; journal's id; message; whether it counts)
Quarantined = tuple[int | None, int | None, InvalidMessage, bool]


def store(rows: Sequence[Quarantined], now: datetime) -> Counter[int | None]:
    """Store `rows`; return by gate's id how many older messages were deleted to make room."""
    insert_quarantine([_cut(row) for row in rows], now)
    dropped: Counter[int | None] = Counter()
    for gate in {gate for gate, _, _, counts in rows if not counts}:
        if beyond := _beyond(gate):
            dropped[gate] = len(beyond)
            _delete(beyond)
    return dropped


def expire(now: datetime) -> int:
    """Delete messages that do not count and were not repeated for a while; return how many."""
    return Quarantine.objects.filter(counts=False, last_at__lt=now - KEPT).delete()[0]


def _cut(row: Quarantined) -> Quarantined:
    gate, journal, unfit, counts = row
    if not counts or len(unfit.body) <= MOST_OF_NUMBERED:
        return row
    return gate, journal, replace(unfit, body=unfit.body[:MOST_OF_NUMBERED]), counts


def _beyond(gate: int | None) -> list[int]:
    """Return the ids of a gate's oldest rows beyond its limits, at most one batch: this runs after each."""
    stored = Quarantine.objects.filter(gate=gate, counts=False).order_by("-id")
    beyond, rows, size = [], 0, 0
    for pk, length in stored.annotate(length=Length("body")).values_list("id", "length"):
        rows, size = rows + 1, size + length
        if rows > MOST_ROWS or size > MOST_BYTES:
            beyond.append(pk)
    return beyond


def _delete(rows: Iterable[int]) -> None:
    for chunk in statements.chunks(list(rows)):
        Quarantine.objects.filter(id__in=chunk).delete()


def insert_quarantine(rows: Sequence[tuple[int | None, int | None, InvalidMessage, bool]], now: datetime) -> None:
    """Store rows; a repeated message only increases its counter."""
    at = bulk.to_database()(now)
    bulk.many(
        _QUARANTINE,
        [
            (gate, u.topic, journal, u.journal, u.seq, u.reason, u.detail, u.hash, u.body, counts, at, at)
            for gate, journal, u, counts in rows
        ],
        is_distinct=False,  # the same message may be in a batch twice
    )

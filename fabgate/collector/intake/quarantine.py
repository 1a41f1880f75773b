"""How much of what cannot be an entry is kept of each gate, and for how long?

A message that fills its number (`counts`) stays, as entries do: without it the acknowledgement could not pass. What fills
none is evidence for a person, and one gate could fill the disk with it: the newest of each gate are kept, for a while.
Decided in docs/decisions/0031.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models.functions import Length

from fabgate.collector.db import bulk, statements
from fabgate.collector.entries.decode import Unfit
from fabgate.collector.models import Quarantine

_QUARANTINE = """
INSERT INTO collector_quarantine (gate_id, topic, journal_id, journal_name, seq, reason, detail, hash, body, counts,
    times, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s)
ON CONFLICT (journal_name, seq, hash, topic) DO UPDATE SET times = collector_quarantine.times + 1,
    counts = excluded.counts OR collector_quarantine.counts, last_at = excluded.last_at"""

#: Of what fills no number, so many messages and bytes are kept of each gate, the newest.
MOST_ROWS: Final = 1_000
MOST_BYTES: Final = 4 * 1024 * 1024
#: And so long after the last time that it came.
KEPT: Final = timedelta(days=90)
#: So much is kept of a message that fills a number: more than an honest entry has, whatever is wrong with it.
MOST_OF_NUMBERED: Final = 4 * 1024

#: (gate's row, journal's row, message, whether it fills its number); a gate is None where a topic names none of ours.
Row = tuple[int | None, int | None, Unfit, bool]


def store(rows: Sequence[Row], now: datetime) -> Counter[int | None]:
    """Store `rows`; return how many older messages of each gate (its row) went for them."""
    insert_quarantine([_cut(row) for row in rows], now)
    dropped: Counter[int | None] = Counter()
    for gate in {gate for gate, _, _, counts in rows if not counts}:
        if beyond := _beyond(gate):
            dropped[gate] = len(beyond)
            _delete(beyond)
    return dropped


def expire(now: datetime) -> int:
    """Delete what fills no number and did not come again for a while; return how many messages went."""
    return Quarantine.objects.filter(counts=False, last_at__lt=now - KEPT).delete()[0]


def _cut(row: Row) -> Row:
    gate, journal, unfit, counts = row
    if not counts or len(unfit.body) <= MOST_OF_NUMBERED:
        return row
    return gate, journal, replace(unfit, body=unfit.body[:MOST_OF_NUMBERED]), counts


def _beyond(gate: int | None) -> list[int]:
    """Return the rows that are too much of a gate, the older ones. No more than one batch is: this runs after each."""
    of_it = Quarantine.objects.filter(gate=gate, counts=False).order_by("-id")
    found, rows, size = [], 0, 0
    for pk, length in of_it.annotate(length=Length("body")).values_list("id", "length"):
        rows, size = rows + 1, size + length
        if rows > MOST_ROWS or size > MOST_BYTES:
            found.append(pk)
    return found


def _delete(rows: Iterable[int]) -> None:
    for some in statements.chunks(list(rows)):
        Quarantine.objects.filter(id__in=some).delete()


def insert_quarantine(rows: Sequence[tuple[int | None, int | None, Unfit, bool]], now: datetime) -> None:
    """Store (gate's row, journal's row, message, whether it counts); the same message again is only counted."""
    at = bulk.to_database()(now)
    bulk.many(
        _QUARANTINE,
        [
            (gate, u.topic, journal, u.journal, u.seq, u.reason, u.detail, u.hash, u.body, counts, at, at)
            for gate, journal, u, counts in rows
        ],
        is_distinct=False,  # the same message may come twice in a batch
    )

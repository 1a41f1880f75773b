"""Which numbers of a journal are filled, and how are entries stored? By hand, as in ``bulk``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from fabgate.collector.db import bulk, statements
from fabgate.collector.entries.decode import Fact
from fabgate.collector.models import Journal

#: (journal's row, seq)
Number = tuple[int, int]
#: (journal's row, first seq, last seq)
Range = tuple[int, int, int]
_ENTRY = """
INSERT INTO collector_entry (journal_id, seq, uid, type, body, hash, arrived_at, occurred_at, copyof, is_copy)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def around(numbers: Iterable[Number]) -> list[Range]:
    """Return the ranges that hold `numbers` (sorted) and the neighbours of each: the usual batch is one a gate."""
    found: list[Range] = []
    journal, low, high = 0, 0, 0
    for row, seq in numbers:
        if row == journal and seq <= high + 2:
            high = max(high, seq + 1)
            continue
        if journal:
            found.append((journal, low, high))
        journal, low, high = row, seq - 1, seq + 1
    return [*found, (journal, low, high)] if journal else found


def hashes(ranges: Sequence[Range]) -> dict[Number, bytes]:
    """Return the hash under each number of `ranges` that is filled: by an entry, or by what counts in quarantine."""
    found: dict[Number, bytes] = {}
    for table, condition in (("collector_quarantine", " AND t.counts"), ("collector_entry", "")):
        for some in statements.chunks(ranges):
            _places, chunk = statements.listed(some)
            # CROSS JOIN keeps SQLite from walking the big table first.
            statement = (
                f"WITH wanted (journal_id, low, high) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(chunk))})"  # noqa: S608
                f" SELECT t.journal_id, t.seq, t.hash FROM wanted CROSS JOIN {table} AS t"
                f" WHERE t.journal_id = wanted.journal_id AND t.seq BETWEEN wanted.low AND wanted.high{condition}"
            )
            with statements.cursor() as cursor:
                cursor.execute(statement, [value for wanted in chunk for value in wanted])
                found.update(((journal, seq), bytes(digest)) for journal, seq, digest in cursor.fetchall())
    return found


def runs(ranges: Sequence[Range]) -> list[Range]:
    """Return which numbers of `ranges`, one a journal, are filled: each unbroken run of them, in no order.

    By an entry, or by what counts in quarantine; a run that both fill is told in parts.
    """
    found: list[Range] = []
    for table, condition in (("collector_quarantine", " AND t.counts"), ("collector_entry", "")):
        for some in statements.chunks(ranges):
            # CROSS JOIN as above. Numbers that follow each other differ from their places by the same.
            statement = (
                f"WITH wanted (journal_id, low, high) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(some))})"  # noqa: S608
                " SELECT journal_id, MIN(seq), MAX(seq) FROM (SELECT t.journal_id, t.seq,"
                " t.seq - ROW_NUMBER() OVER (PARTITION BY t.journal_id ORDER BY t.seq) AS run"
                f" FROM wanted CROSS JOIN {table} AS t WHERE t.journal_id = wanted.journal_id"
                f" AND t.seq BETWEEN wanted.low AND wanted.high{condition}) AS numbered GROUP BY journal_id, run"
            )
            with statements.cursor() as cursor:
                cursor.execute(statement, [value for wanted in some for value in wanted])
                found += [(int(journal), int(low), int(high)) for journal, low, high in cursor.fetchall()]
    return found


def insert_entries(rows: Sequence[tuple[int, Fact, bool]], now: datetime) -> None:
    """Store (journal's row, entry, whether it is a copy)."""
    time = bulk.to_database()
    arrived = time(now)
    bulk.many(
        _ENTRY,
        [
            (row, f.seq, f.uid, f.type, f.body, f.hash, arrived, time(f.time), f.copyof, is_copy)
            for row, f, is_copy in rows
        ],
    )


def save_acks(journals: Sequence[Journal]) -> None:
    """Write how far each of `journals` reaches."""
    bulk.many(
        "UPDATE collector_journal SET ack_seq = %s, ack_hash = %s WHERE id = %s",
        [(journal.ack_seq, bytes(journal.ack_hash), journal.pk) for journal in journals],
    )

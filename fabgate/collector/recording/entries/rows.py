"""Reads and stores entries by number, with the SQL of ``db.bulk``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from fabgate.collector.ground.db import bulk, statements
from fabgate.collector.ground.models import Journal
from fabgate.collector.recording.entries.decode import ValidEntry

#: (journal's id, seq)
Number = tuple[int, int]
#: (journal's id, first seq, last seq)
Range = tuple[int, int, int]
_ENTRY = """
INSERT INTO collector_entry (journal_id, seq, uid, type, body, hash, arrived_at, occurred_at, copyof, is_copy)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""


def around(numbers: Iterable[Number]) -> list[Range]:
    """Return ranges that contain `numbers` (sorted) and their neighbours; usually one range for each gate."""
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
    """Return the hash under each stored number of `ranges`, of an entry or of a quarantined message that counts."""
    found: dict[Number, bytes] = {}
    for table, condition in (("collector_quarantine", " AND t.counts"), ("collector_entry", "")):
        for chunk in statements.chunks(ranges):
            _places, padded = statements.listed(chunk)
            # CROSS JOIN keeps SQLite from scanning the large table first.
            statement = (
                f"WITH wanted (journal_id, low, high) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(padded))})"  # noqa: S608
                f" SELECT t.journal_id, t.seq, t.hash FROM wanted CROSS JOIN {table} AS t"
                f" WHERE t.journal_id = wanted.journal_id AND t.seq BETWEEN wanted.low AND wanted.high{condition}"
            )
            with statements.cursor() as cursor:
                cursor.execute(statement, [value for wanted in padded for value in wanted])
                found.update(((journal, seq), bytes(digest)) for journal, seq, digest in cursor.fetchall())
    return found


def runs(ranges: Sequence[Range]) -> list[Range]:
    """Return the runs of consecutive stored numbers in `ranges`, which has one range for each journal.

    The order is arbitrary. Entries and quarantined messages that count are separate runs.
    """
    found: list[Range] = []
    for table, condition in (("collector_quarantine", " AND t.counts"), ("collector_entry", "")):
        for chunk in statements.chunks(ranges):
            # CROSS JOIN keeps SQLite from scanning the large table first. Consecutive numbers have the same difference
            # to their row number.
            statement = (
                f"WITH wanted (journal_id, low, high) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(chunk))})"  # noqa: S608
                " SELECT journal_id, MIN(seq), MAX(seq) FROM (SELECT t.journal_id, t.seq,"
                " t.seq - ROW_NUMBER() OVER (PARTITION BY t.journal_id ORDER BY t.seq) AS run"
                f" FROM wanted CROSS JOIN {table} AS t WHERE t.journal_id = wanted.journal_id"
                f" AND t.seq BETWEEN wanted.low AND wanted.high{condition}) AS numbered GROUP BY journal_id, run"
            )
            with statements.cursor() as cursor:
                cursor.execute(statement, [value for wanted in chunk for value in wanted])
                found += [(int(journal), int(low), int(high)) for journal, low, high in cursor.fetchall()]
    return found


def insert_entries(rows: Sequence[tuple[int, ValidEntry, bool]], now: datetime) -> None:
    """Store (journal's id, entry, whether it is a copy)."""
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
    """Save the acks of `journals`."""
    bulk.many(
        "UPDATE collector_journal SET ack_seq = %s, ack_hash = %s WHERE id = %s",
        [(journal.ack_seq, bytes(journal.ack_hash), journal.pk) for journal in journals],
    )

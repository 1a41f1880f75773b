"""Which statements does ingest run by hand, and why by hand?

The ORM stores 35,000 rows a second in batches of 1,000 where ``executemany`` stores 150,000. Everything here is plain
SQL that SQLite and PostgreSQL both take.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar

from django.db import connection

from fabgate.collector.models import Boot, Journal, UsageSession
from fabgate.collector.received import Fact, Unfit
from fabgate.collector.sessions import COLUMNS, Usage

#: (journal's row, seq)
Number = tuple[int, int]
#: (journal's row, first seq, last seq)
Range = tuple[int, int, int]
T = TypeVar("T")
#: SQLite takes 32,766 parameters in a statement, older ones 999.
_CHUNK = 300

_ENTRY = """
INSERT INTO collector_entry (journal_id, seq, uid, type, body, hash, arrived_at, occurred_at, copyof, is_copy)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_QUARANTINE = """
INSERT INTO collector_quarantine (gate_id, topic, journal_id, journal_name, seq, reason, detail, hash, body, counts,
    times, first_at, last_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s)
ON CONFLICT (journal_name, seq, hash, topic) DO UPDATE SET times = collector_quarantine.times + 1,
    counts = excluded.counts OR collector_quarantine.counts, last_at = excluded.last_at"""
_SESSION = (
    f"INSERT INTO collector_usagesession ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS if c != 'id')}"
)

_BOOT_COLUMNS = (
    *("gate_id", "boot", "journal_id", "seq", "from_ms"),
    *("tie_ms", "tie_at", "first_ms", "first_at", "last_ms", "last_at"),
)
_BOOT = (
    f"INSERT INTO collector_boot ({', '.join(_BOOT_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_BOOT_COLUMNS))})"  # noqa: S608
    f" ON CONFLICT (gate_id, boot) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _BOOT_COLUMNS[2:])}"
)


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
        for chunk in _chunks(ranges, _CHUNK):
            # CROSS JOIN keeps SQLite from walking the big table first.
            statement = (
                f"WITH wanted (journal_id, low, high) AS (VALUES {', '.join(['(%s, %s, %s)'] * len(chunk))})"  # noqa: S608
                f" SELECT t.journal_id, t.seq, t.hash FROM wanted CROSS JOIN {table} AS t"
                f" WHERE t.journal_id = wanted.journal_id AND t.seq BETWEEN wanted.low AND wanted.high{condition}"
            )
            with connection.cursor() as cursor:
                cursor.execute(statement, [value for wanted in chunk for value in wanted])
                found.update(((journal, seq), bytes(digest)) for journal, seq, digest in cursor.fetchall())
    return found


def places_of(uids: Collection[str]) -> dict[str, tuple[int, Number]]:
    """Return (gate's row, number) of each of `uids` that is stored and counted."""
    found: dict[str, tuple[int, Number]] = {}
    for chunk in _chunks(list(uids), _CHUNK):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT e.uid, j.gate_id, e.journal_id, e.seq FROM collector_entry e JOIN collector_journal j"  # noqa: S608
                f" ON j.id = e.journal_id WHERE e.uid IN ({', '.join(['%s'] * len(chunk))}) AND NOT e.is_copy",
                chunk,
            )
            found.update((uid, (gate, (journal, seq))) for uid, gate, journal, seq in cursor.fetchall())
    return found


def insert_entries(rows: Sequence[tuple[int, Fact, bool]], now: datetime) -> None:
    """Store (journal's row, entry, whether it is a copy)."""
    time = _to_database()
    arrived = time(now)
    _many(
        _ENTRY,
        [
            (row, f.seq, f.uid, f.type, f.body, f.hash, arrived, time(f.time), f.copyof, is_copy)
            for row, f, is_copy in rows
        ],
    )


def insert_quarantine(rows: Sequence[tuple[int | None, int | None, Unfit, bool]], now: datetime) -> None:
    """Store (gate's row, journal's row, message, whether it counts); the same message again is only counted."""
    at = _to_database()(now)
    _many(
        _QUARANTINE,
        [
            (gate, u.topic, journal, u.journal, u.seq, u.reason, u.detail, u.hash, u.body, counts, at, at)
            for gate, journal, u, counts in rows
        ],
    )


def save_acks(journals: Sequence[Journal]) -> None:
    """Write how far each of `journals` reaches."""
    _many(
        "UPDATE collector_journal SET ack_seq = %s, ack_hash = %s WHERE id = %s",
        [(journal.ack_seq, bytes(journal.ack_hash), journal.pk) for journal in journals],
    )


def save_boots(boots: Iterable[Boot]) -> None:
    """Write rows, new or not: each boot once."""
    time = _to_database()
    _many(
        _BOOT,
        [[time(getattr(boot, c)) if c.endswith("_at") else getattr(boot, c) for c in _BOOT_COLUMNS] for boot in boots],
    )


def load_sessions(ids: Collection[str]) -> dict[str, Usage]:
    """Return the rows of `ids` that exist."""
    found: dict[str, Usage] = {}
    for chunk in _chunks(list(ids), _CHUNK):
        for row in UsageSession.objects.filter(id__in=chunk).values_list(*COLUMNS):
            found[row[0]] = Usage(*row)
    return found


def save_sessions(usages: Collection[Usage]) -> None:
    """Write rows, new or not: each id once, because PostgreSQL refuses a batch that holds one twice."""
    rows, time = [], _to_database()
    for usage in usages:
        row = list(_columns(usage))
        for column in _DATES:
            row[column] = time(row[column])
        rows.append(row)
    _many(_SESSION, rows)


_columns = attrgetter(*COLUMNS)
_DATES = tuple(
    number for number, name in enumerate(COLUMNS) if name.endswith("_at") or name in {"not_before", "not_after"}
)


def _to_database() -> Callable[[datetime | None], Any]:
    """Return what turns a time into what the database holds: by hand for SQLite, where Django takes 10 us for one."""
    if connection.vendor == "sqlite":
        return _sqlite_time
    adapt = connection.ops.adapt_datetimefield_value
    return lambda value: None if value is None else adapt(value)


def _sqlite_time(value: datetime | None) -> str | None:
    if value is None:
        return None
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")[:-6]  # without the +00:00


def _many(statement: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]

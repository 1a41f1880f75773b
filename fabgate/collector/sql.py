"""Which statements does ingest run by hand, and an import of members, and why by hand?

The ORM stores 35,000 rows a second in batches of 1,000 where ``executemany`` stores 150,000. Everything here is plain
SQL that SQLite and PostgreSQL both take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, TypeVar

from django.db import connection, models

from fabgate import wire
from fabgate.collector import counted, statements
from fabgate.collector.models import Boot, Gate, Journal, UsageDay, UsageMonth, UsageSums
from fabgate.collector.received import Fact, Unfit
from fabgate.collector.sessions import COLUMNS, Usage

#: (journal's row, seq)
Number = tuple[int, int]
#: (journal's row, first seq, last seq)
Range = tuple[int, int, int]
T = TypeVar("T")
_VALUES = re.compile(r"VALUES (\([^()]*\))")

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

_LOAD = f"SELECT {', '.join(COLUMNS)} FROM collector_usagesession"  # noqa: S608

_REFUSAL = """
INSERT INTO collector_refusal (gate_id, machine_id, journal_id, seq, member, badge, reasons, at, is_timed, seen_at,
    clock_off_ms)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_PULSE = "INSERT INTO collector_pulse (topic, gate, at) VALUES (%s, %s, %s)"
_CHANGE = """
INSERT INTO collector_change (at, actor, verb, kind, key, before, after, reason, rosters)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{}')"""
_ROSTER = """
INSERT INTO collector_servedroster (gate_id, body) VALUES (%s, %s)
ON CONFLICT (gate_id) DO UPDATE SET body = excluded.body"""
_ANSWER = """
UPDATE collector_order SET outcome = %s, detail = %s, answered_at = %s
WHERE id = %s AND gate_id = %s AND answered_at IS NULL"""
#: What was settled is opened again by another doubt, of which no note was made yet.
_REVIEW = """
INSERT INTO collector_review (session_id, why, opened_at, settled_by, decision, note) VALUES (%s, %s, %s, '', '', '')
ON CONFLICT (session_id) DO UPDATE SET
    why = excluded.why, opened_at = excluded.opened_at, settled_at = NULL, settled_by = '', decision = '', note = ''"""
_RESOLVED = """
UPDATE collector_review SET settled_at = %s, decision = 'resolved'
WHERE session_id = %s AND settled_at IS NULL"""
_LINE_COLUMNS = (
    *("used_by", "payer", "purpose", "category", "started_at", "ended_at", "not_before", "counted_ms", "running_ms"),
    *("uncertainty_ms", "reason", "review"),
)
_LINE = (
    f"INSERT INTO collector_ledgerline (session_id, kind, at, author, why, {', '.join(_LINE_COLUMNS)})"  # noqa: S608
    f" VALUES ({', '.join(['%s'] * (5 + len(_LINE_COLUMNS)))})"
)
_SUMS = ("sessions", "counted_ms", "running_ms", "uncertainty_ms", "uncertain", "about")
_ADD: dict[type[UsageSums], str] = {
    model: (
        f"INSERT INTO {table} AS t (day, machine_key, gate_id, used_by, category, {', '.join(_SUMS)})"  # noqa: S608
        f" VALUES ({', '.join(['%s'] * (5 + len(_SUMS)))})"
        " ON CONFLICT (day, machine_key, gate_id, used_by, category) DO UPDATE SET"
        f" {', '.join(f'{c} = t.{c} + excluded.{c}' for c in _SUMS)}"
    )
    for model, table in ((UsageDay, "collector_usageday"), (UsageMonth, "collector_usagemonth"))
}
_GATE_COLUMNS = (
    *("online", "boot", "journal", "reported_roster", "seen_at", "hints", "state", "causes", "session"),
    *("session_member", "state_since", "energised_ms", "running_ms", "problems", "reader", "version", "head", "mark"),
    *("ran_at", "synced", "roster_confirmed_at", "head_at", "clock_off_ms", "quarantine_dropped"),
    "earliest_at",
)
_GATE = f"UPDATE collector_gate SET {', '.join(f'{c} = %s' for c in _GATE_COLUMNS)} WHERE id = %s"  # noqa: S608

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
    time = to_database()
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
    at = to_database()(now)
    _many(
        _QUARANTINE,
        [
            (gate, u.topic, journal, u.journal, u.seq, u.reason, u.detail, u.hash, u.body, counts, at, at)
            for gate, journal, u, counts in rows
        ],
        is_distinct=False,  # the same message may come twice in a batch
    )


def save_acks(journals: Sequence[Journal]) -> None:
    """Write how far each of `journals` reaches."""
    _many(
        "UPDATE collector_journal SET ack_seq = %s, ack_hash = %s WHERE id = %s",
        [(journal.ack_seq, bytes(journal.ack_hash), journal.pk) for journal in journals],
    )


def save_boots(boots: Iterable[Boot]) -> None:
    """Write rows, new or not: each boot once."""
    time = to_database()
    _many(
        _BOOT,
        [[time(getattr(boot, c)) if c.endswith("_at") else getattr(boot, c) for c in _BOOT_COLUMNS] for boot in boots],
    )


def load_sessions(ids: Collection[str]) -> dict[str, Usage]:
    """Return the rows of `ids` that exist."""
    found: dict[str, Usage] = {}
    # Locked in one order, because two who change one session (an ingest, a correction) would each undo the other's; not
    # as a key, here and wherever we lock, because rows that refer to a locked one do not change it and need not wait.
    lock = "" if connection.vendor == "sqlite" else " FOR NO KEY UPDATE"
    for some in statements.chunks(sorted(ids)):
        places, chunk = statements.listed(some)
        with statements.cursor() as cursor:
            cursor.execute(f"{_LOAD} WHERE id IN ({places}) ORDER BY id{lock}", chunk)
            for values in cursor.fetchall():
                row = list(values)
                for column in _DATES:
                    if (moment := row[column]) is not None and moment.tzinfo is None:
                        row[column] = moment.replace(tzinfo=UTC)  # sqlite3's, which knows no zones
                found[row[0]] = Usage(*row)
    return found


def copy_of(usage: Usage) -> Usage:
    """Return the same row once more; `dataclasses.replace` takes ten times as long."""
    return Usage(*_columns(usage))


def save_sessions(usages: Collection[Usage]) -> None:
    """Write rows, new or not: each id once, because PostgreSQL refuses a batch that holds one twice."""
    rows, time = [], to_database()
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


def save_gates(gates: Iterable[Gate]) -> None:
    """Write what gates said of themselves, and nothing else of them."""
    time = to_database()
    rows = [[*(_plain(getattr(gate, c), time) for c in _GATE_COLUMNS), gate.pk] for gate in gates]
    _many(_GATE, sorted(rows, key=lambda row: int(row[-1])))


def insert_refusals(
    rows: Sequence[tuple[Gate, int, Fact, wire.AccessRefused, list[str], int | None]], now: datetime
) -> None:
    """Store (gate, journal's row, entry, what it says, reasons to show, by how many milliseconds its clock was off)."""
    time = to_database()
    heard = time(now)
    _many(
        _REFUSAL,
        [
            (
                *(gate.pk, gate.machine_id, row, f.seq, said.member or "", said.badge, json.dumps(reasons)),
                *(time(f.time) or heard, f.time is not None, heard, off),
            )
            for gate, row, f, said, reasons, off in rows
        ],
    )


def insert_pulses(rows: Iterable[tuple[str, str]], now: datetime) -> None:
    """Say that (topic, gate) changed."""
    at = to_database()(now)
    _many(_PULSE, [(topic, gate, at) for topic, gate in rows])


def save_rosters(rows: Sequence[tuple[int, bytes]]) -> None:
    """Store what gates (their rows) are served from now on."""
    if connection.vendor == "sqlite":
        _many(_ROSTER, rows)
        return
    import psycopg  # noqa: PLC0415 (only where PostgreSQL is used)

    # Apart from the statement, as bytes: written into it as hexadecimal digits, a megabyte takes five times as long.
    with psycopg.Cursor(connection.connection) as cursor:
        for row in rows:
            cursor.execute(_ROSTER, row, prepare=False)


def save_answers(rows: Iterable[tuple[int, str, str, str]], now: datetime) -> None:
    """Write (gate's row, command's id, outcome, detail) onto the orders that await an answer: the first one stays."""
    at = to_database()(now)
    _many(_ANSWER, [(outcome, detail, at, command, gate) for gate, command, outcome, detail in rows])


def save_reviews(waiting: Iterable[tuple[str, str]], resolved: Iterable[str], now: datetime) -> None:
    """Open a review for (session, why), and settle those of the sessions that later entries made certain."""
    at = to_database()(now)
    _many(_REVIEW, [(session, why, at) for session, why in waiting])
    _many(_RESOLVED, [(at, session) for session in resolved])


def insert_lines(rows: Iterable[tuple[Usage, str]], now: datetime, author: str, why: str) -> None:
    """Add (session, kind) to the ledger, as the session is now."""
    time = to_database()
    at = time(now)
    _many(
        _LINE,
        [
            (
                *(usage.id, kind, at, author, why, usage.used_by, usage.payer, usage.purpose, usage.category),
                *(time(usage.started_at), time(usage.ended_at), time(usage.not_before), usage.counted_ms),
                *(counted.running_ms(usage), counted.uncertainty_ms(usage), usage.reason or "", usage.review or ""),
            )
            for usage, kind in rows
        ],
    )


def add_sums(model: type[UsageSums], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add to the sums of days or months: their key, then what each is to grow by."""
    day = connection.ops.adapt_datefield_value
    _many(_ADD[model], [(day(row[0]), *row[1:]) for row in rows])


def insert_changes(
    rows: Iterable[tuple[str, str, Any, Any]], now: datetime, *, actor: str, verb: str, reason: str
) -> None:
    """Write (kind, key, before, after) into the audit log."""
    at = to_database()(now)
    _many(
        _CHANGE,
        [
            (at, actor, verb, kind, key, json.dumps(before), json.dumps(after), reason)
            for kind, key, before, after in rows
        ],
    )


def insert(objects: Sequence[models.Model]) -> None:
    """Store new objects of one model, each with its own id or all without one."""
    if not objects:
        return
    meta = objects[0]._meta  # noqa: SLF001 (Django's name for its documented API)
    fields = [field for field in meta.concrete_fields if not field.primary_key or objects[0].pk is not None]
    columns, places = ", ".join(str(field.column) for field in fields), ", ".join(["%s"] * len(fields))
    statement = f"INSERT INTO {meta.db_table} ({columns}) VALUES ({places})"  # noqa: S608
    _many(statement, _rows(objects, [field.attname for field in fields]))


def update(objects: Sequence[models.Model], names: Sequence[str]) -> None:
    """Write these fields of objects of one model onto their rows; ids of others by their attribute, such as payer_id."""
    if not objects or not names:
        return
    meta = objects[0]._meta  # noqa: SLF001 (as above)
    columns = [field.column for name in names for field in meta.concrete_fields if field.attname == name]
    said = ", ".join(f"{column} = %s" for column in columns)
    statement = f"UPDATE {meta.db_table} SET {said} WHERE {meta.pk.column} = %s"  # noqa: S608
    _many(statement, _rows(objects, [*names, meta.pk.attname]))


def _rows(objects: Sequence[models.Model], names: Sequence[str]) -> list[list[Any]]:
    time = to_database()
    return [[_plain(getattr(one, name), time) for name in names] for one in objects]


def _plain(value: Any, time: Callable[[datetime | None], Any]) -> Any:
    if isinstance(value, datetime):
        return time(value)
    if isinstance(value, date):
        return connection.ops.adapt_datefield_value(value)
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def to_database() -> Callable[[datetime | None], Any]:
    """Return what turns a time into what the database holds: by hand for SQLite, where Django takes 10 us for one."""
    if connection.vendor == "sqlite":
        return _sqlite_time
    adapt = connection.ops.adapt_datetimefield_value
    return lambda value: None if value is None else adapt(value)


def _sqlite_time(value: datetime | None) -> str | None:
    if value is None:
        return None
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")[:-6]  # without the +00:00


def _many(statement: str, rows: Sequence[Sequence[Any]], *, is_distinct: bool = True) -> None:
    """Run a statement for each row; PostgreSQL inserts many at once where no two of them are the same row."""
    if not rows:
        return
    values = _VALUES.search(statement)
    if connection.vendor == "sqlite" or values is None or not is_distinct:
        with statements.cursor() as quick:
            quick.executemany(statement, rows)
        return
    with connection.cursor() as cursor:
        for chunk in statements.chunks(rows):
            # Row by row, because psycopg looks for the places of the values, and remembers them for short texts only.
            several = ", ".join([cursor.mogrify(values[1], row) for row in chunk])
            cursor.execute(f"{statement[: values.start()]}VALUES {several}{statement[values.end() :]}")

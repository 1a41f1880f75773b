"""How are rows of sessions loaded and saved? By hand, as in ``bulk``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from operator import attrgetter

from django.db import connection

from fabgate.collector.db import bulk, statements
from fabgate.collector.sessions.merge import COLUMNS, Usage

_SESSION = (
    f"INSERT INTO collector_usagesession ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS if c != 'id')}"
)
_LOAD = f"SELECT {', '.join(COLUMNS)} FROM collector_usagesession"  # noqa: S608
#: What was settled is opened again by another doubt, of which no note was made yet.
_REVIEW = """
INSERT INTO collector_review (session_id, why, opened_at, settled_by, decision, note) VALUES (%s, %s, %s, '', '', '')
ON CONFLICT (session_id) DO UPDATE SET
    why = excluded.why, opened_at = excluded.opened_at, settled_at = NULL, settled_by = '', decision = '', note = ''"""
_RESOLVED = """
UPDATE collector_review SET settled_at = %s, decision = 'resolved'
WHERE session_id = %s AND settled_at IS NULL"""


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
    rows, time = [], bulk.to_database()
    for usage in usages:
        row = list(_columns(usage))
        for column in _DATES:
            row[column] = time(row[column])
        rows.append(row)
    bulk.many(_SESSION, rows)


_columns = attrgetter(*COLUMNS)
_DATES = tuple(
    number for number, name in enumerate(COLUMNS) if name.endswith("_at") or name in {"not_before", "not_after"}
)


def save_reviews(waiting: Iterable[tuple[str, str]], resolved: Iterable[str], now: datetime) -> None:
    """Open a review for (session, why), and settle those of the sessions that later entries made certain."""
    at = bulk.to_database()(now)
    bulk.many(_REVIEW, [(session, why, at) for session, why in waiting])
    bulk.many(_RESOLVED, [(at, session) for session in resolved])

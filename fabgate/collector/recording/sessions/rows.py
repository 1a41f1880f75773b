"""Loads and saves rows of sessions, with the SQL of ``db.bulk``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from operator import attrgetter

from django.db import connection

from fabgate.collector.ground.db import bulk, statements
from fabgate.collector.recording.sessions.merge import COLUMNS, DerivedSession

_SESSION = (
    f"INSERT INTO collector_usagesession ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS if c != 'id')}"
)
_LOAD = f"SELECT {', '.join(COLUMNS)} FROM collector_usagesession"  # noqa: S608
#: Another doubt reopens a settled review, without its earlier note.
_REVIEW = """
INSERT INTO collector_review (session_id, why, opened_at, settled_by, decision, note) VALUES (%s, %s, %s, '', '', '')
ON CONFLICT (session_id) DO UPDATE SET
    why = excluded.why, opened_at = excluded.opened_at, settled_at = NULL, settled_by = '', decision = '', note = ''"""
_RESOLVED = """
UPDATE collector_review SET settled_at = %s, decision = 'resolved'
WHERE session_id = %s AND settled_at IS NULL"""


def load_sessions(ids: Collection[str]) -> dict[str, DerivedSession]:
    """Return the sessions of `ids` that exist, locked in the order of their ids (ground/db/pulse.py)."""
    found: dict[str, DerivedSession] = {}
    # Ingest and a correction that change one session would otherwise undo each other's change.
    lock = "" if connection.vendor == "sqlite" else " FOR NO KEY UPDATE"
    for chunk in statements.chunks(sorted(ids)):
        places, padded = statements.listed(chunk)
        with statements.cursor() as cursor:
            cursor.execute(f"{_LOAD} WHERE id IN ({places}) ORDER BY id{lock}", padded)
            for values in cursor.fetchall():
                row = list(values)
                for column in _DATES:
                    if (moment := row[column]) is not None and moment.tzinfo is None:
                        row[column] = moment.replace(tzinfo=UTC)  # sqlite3 returns times without a zone
                found[row[0]] = DerivedSession(*row)
    return found


def copy_of(session: DerivedSession) -> DerivedSession:
    """Return a copy of the row; `dataclasses.replace` takes ten times as long."""
    return DerivedSession(*_columns(session))


def save_sessions(sessions: Collection[DerivedSession]) -> None:
    """Insert or update rows. No id may occur twice: PostgreSQL refuses such a batch."""
    rows, time = [], bulk.to_database()
    for session in sessions:
        row = list(_columns(session))
        for column in _DATES:
            row[column] = time(row[column])
        rows.append(row)
    bulk.many(_SESSION, rows)


_columns = attrgetter(*COLUMNS)
_DATES = tuple(
    number for number, name in enumerate(COLUMNS) if name.endswith("_at") or name in {"not_before", "not_after"}
)


def save_reviews(waiting: Iterable[tuple[str, str]], resolved: Iterable[str], now: datetime) -> None:
    """Open a review for each (session, reason) in `waiting`; settle those of `resolved`, which are certain now."""
    at = bulk.to_database()(now)
    bulk.many(_REVIEW, [(session, why, at) for session, why in waiting])
    bulk.many(_RESOLVED, [(at, session) for session in resolved])

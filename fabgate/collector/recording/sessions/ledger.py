"""Adds a line to the ledger for each change of an ended session, in the transaction that changes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fabgate.collector.ground.db import bulk, pulse
from fabgate.collector.ground.models import LedgerLine
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.recording.sessions.merge import DerivedSession

_LINE_COLUMNS = (
    *("used_by", "payer", "purpose", "category", "started_at", "ended_at", "not_before", "counted_ms", "running_ms"),
    *("uncertainty_ms", "reason", "review"),
)
_LINE = (
    f"INSERT INTO collector_ledgerline (session_id, kind, at, author, why, {', '.join(_LINE_COLUMNS)})"  # noqa: S608
    f" VALUES ({', '.join(['%s'] * (5 + len(_LINE_COLUMNS)))})"
)


def _counted(row: DerivedSession) -> tuple[object, ...]:
    """Return the values of a ledger line except the review. A line is added only if they or the review change."""
    return (
        *(row.used_by, row.payer, row.purpose, row.category, row.started_at, row.ended_at, row.not_before),
        *(row.counted_ms, counted.running_ms(row), counted.uncertainty_ms(row), row.reason),
    )


def _reported(row: DerivedSession) -> tuple[object, ...]:
    return (*_counted(row), row.review)


def add(
    pairs: Iterable[tuple[DerivedSession | None, DerivedSession]], now: datetime, *, author: str = "", why: str = ""
) -> None:
    """Add lines for those of `pairs` (before, after) that have ended. Call it late in a transaction, before its pulses.

    With an `author` the change is a correction, or only a review.
    """
    rows = []
    for before, after in pairs:
        had_ended = before is not None and before.reason is not None
        if not had_ended and after.reason is None:
            continue
        if before is not None and had_ended and _reported(before) == _reported(after):
            continue
        kind = LedgerLine.CHANGED if had_ended else LedgerLine.ENDED
        if after.reason is None:
            kind = LedgerLine.WITHDRAWN
        elif author:
            is_same = before is not None and _counted(before) == _counted(after)
            kind = LedgerLine.REVIEWED if is_same else LedgerLine.CORRECTED
        rows.append((after, kind))
    if rows:
        pulse.lock()
        rows.sort(key=lambda row: (row[0].ended_at or now, row[0].id))
        insert_lines(rows, now, author, why)


def insert_lines(rows: Iterable[tuple[DerivedSession, str]], now: datetime, author: str, why: str) -> None:
    """Add (session, kind) to the ledger, with the session's present values."""
    time = bulk.to_database()
    at = time(now)
    bulk.many(
        _LINE,
        [
            (
                *(session.id, kind, at, author, why, session.used_by, session.payer, session.purpose, session.category),
                *(time(session.started_at), time(session.ended_at), time(session.not_before), session.counted_ms),
                *(
                    counted.running_ms(session),
                    counted.uncertainty_ms(session),
                    session.reason or "",
                    session.review or "",
                ),
            )
            for session, kind in rows
        ],
    )

"""What has changed for whoever bills sessions? Each change becomes one line, in the transaction that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Final

from fabgate.collector import floor, sql
from fabgate.collector.models import LedgerLine
from fabgate.collector.sessions import Usage

#: What a line says of a session; while all of it is the same there is nothing to tell.
TOLD: Final = (
    *("used_by", "payer", "purpose", "category", "started_at", "ended_at", "not_before", "counted_ms", "running_ms"),
    *("uncertainty_ms", "reason", "review"),
)
_told = attrgetter(*TOLD)
_counted = attrgetter(*(name for name in TOLD if name != "review"))


def add(pairs: Iterable[tuple[Usage | None, Usage]], now: datetime, *, author: str = "", why: str = "") -> None:
    """Write down how sessions were and are, where they have ended. Last in a transaction, as pulses are.

    With an `author` it is a correction, or a review of what may stand.
    """
    rows = []
    for before, after in pairs:
        had_ended = before is not None and before.reason is not None
        if not had_ended and after.reason is None:
            continue
        if before is not None and had_ended and _told(before) == _told(after):
            continue
        kind = LedgerLine.CHANGED if had_ended else LedgerLine.ENDED
        if after.reason is None:
            kind = LedgerLine.WITHDRAWN
        elif author:
            is_same = before is not None and _counted(before) == _counted(after)
            kind = LedgerLine.REVIEWED if is_same else LedgerLine.CORRECTED
        rows.append((after, kind))
    if rows:
        floor.in_order()
        rows.sort(key=lambda row: (row[0].ended_at or now, row[0].id))
        sql.insert_lines(rows, now, author, why)

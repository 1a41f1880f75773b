"""What counts of a session? What its entries say; where a person put its time right, every figure follows that time.

The columns keep what the gate wrote, because entries may still arrive and a correction may be corrected.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

#: The field of a correction that changes how long the machine was on.
TIME = "time"
#: Ends that a gate writes down when it starts again, long after the machine went off.
WRITTEN_LATER = frozenset({"restart", "power-loss"})


class Row(Protocol):
    """A session: a row of the database, or the one that a batch works on."""

    corrected: str
    energised_ms: int
    running_ms: int
    counted_ms: int
    uncertainty_ms: int
    started_at: datetime | None
    ended_at: datetime | None
    not_after: datetime | None
    reason: str | None


def is_time_corrected(row: Row) -> bool:
    """Say whether a person put right how long the machine was on."""
    return TIME in row.corrected  # no other field has it in its name


def running_ms(row: Row) -> int:
    """Return for how many milliseconds a job ran: after a correction never longer than the machine was on."""
    return min(row.running_ms, row.counted_ms) if is_time_corrected(row) else row.running_ms


def uncertainty_ms(row: Row) -> int:
    """Return how many milliseconds more it may have been: 0 after a correction, which says how long it was."""
    return 0 if is_time_corrected(row) else row.uncertainty_ms


def recorded_until(row: Row) -> datetime | None:
    """Return until when the entries say that the machine was on; None while the session is open.

    An end that the gate wrote down at its next start carries the time of that start; the machine went off before.
    """
    end = row.ended_at
    if end is None or row.not_after is not None:
        return end
    if row.reason in WRITTEN_LATER and row.started_at is not None:
        return min(end, row.started_at + timedelta(milliseconds=row.energised_ms))
    return end


def until(row: Row) -> datetime | None:
    """Return until when the session counts: a corrected time counts from the start. None while the session is open."""
    end = recorded_until(row)
    if end is None or row.not_after is not None or not is_time_corrected(row):
        return end
    if row.started_at is not None:
        return row.started_at + timedelta(milliseconds=row.counted_ms)
    return end - timedelta(milliseconds=row.energised_ms - row.counted_ms)

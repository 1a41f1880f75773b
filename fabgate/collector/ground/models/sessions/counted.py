"""Which figures of a session count: the gate's, or those that follow from a corrected time.

The columns keep the gate's figures, because entries may still arrive and a correction may itself be corrected.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

#: The field of a correction that changes how long the machine was on.
TIME = "time"
#: End reasons that a gate writes only at its next start, long after the machine went off.
WRITTEN_LATER = frozenset({"restart", "power-loss"})


class SessionFigures(Protocol):
    """The fields used here: of a model instance, or of the row that a batch works on."""

    corrected: str
    energised_ms: int
    running_ms: int
    counted_ms: int
    uncertainty_ms: int
    started_at: datetime | None
    ended_at: datetime | None
    not_after: datetime | None
    reason: str | None


def is_time_corrected(row: SessionFigures) -> bool:
    """Return whether a person corrected how long the machine was on."""
    return TIME in row.corrected  # no other field's name contains it


def running_ms(row: SessionFigures) -> int:
    """Return how many milliseconds a job ran; after a correction at most the time that the machine was on."""
    return running_that_counts(row.corrected, row.running_ms, row.counted_ms)


def running_that_counts(corrected: str, running_ms: int, counted_ms: int) -> int:
    """Return the same for the values of these columns."""
    return min(running_ms, counted_ms) if TIME in corrected else running_ms


def uncertainty_ms(row: SessionFigures) -> int:
    """Return how many milliseconds longer the session may have been; 0 after a correction."""
    return 0 if is_time_corrected(row) else row.uncertainty_ms


def recorded_until(row: SessionFigures) -> datetime | None:
    """Return when the machine went off according to the entries; None while the session is open.

    An end that the gate wrote at its next start is dated at that start, although the machine went off earlier.
    """
    end = row.ended_at
    if end is None or row.not_after is not None:
        return end
    if row.reason in WRITTEN_LATER and row.started_at is not None:
        return min(end, row.started_at + timedelta(milliseconds=row.energised_ms))
    return end


def until(row: SessionFigures) -> datetime | None:
    """Return the end that counts: with a corrected time it is counted from the start.

    None while the session is open.
    """
    end = recorded_until(row)
    if end is None or row.not_after is not None or not is_time_corrected(row):
        return end
    if row.started_at is not None:
        return row.started_at + timedelta(milliseconds=row.counted_ms)
    return end - timedelta(milliseconds=row.energised_ms - row.counted_ms)

"""Since when is the machine in its state?

The rules know boot time only, and what people read is wall time. It is told once for each state and then stands: worked
out anew each second it would follow every drift of the wall clock, and be published as news each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fabgate.rules.words import Now


class Since:
    """The wall time of the last change of state; None while the wall clock is not synchronised."""

    def __init__(self) -> None:
        self._state = ""
        self._boot_ms = 0
        self._wall: datetime | None = None

    def of(self, state: str, now: Now) -> datetime | None:
        """Return since when the machine has been in `state`, in UTC and whole milliseconds."""
        if state != self._state:
            self._state, self._boot_ms, self._wall = state, now.boot_ms, None
        if self._wall is None and now.synced and now.local is not None:
            at = now.local.astimezone(UTC) - timedelta(milliseconds=now.boot_ms - self._boot_ms)
            self._wall = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return self._wall

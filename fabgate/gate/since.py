"""Since when is the machine in use by whoever uses it, or else in its state?

A session that waits for its job is still the same session: people ask since when it has been on. The rules know boot
time only, and what people read is wall time. It is told once and then stands: worked out anew each second it would
follow every drift of the wall clock, and be published as news each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fabgate.rules.vocabulary import Now


class Since:
    """The wall time at which it began; None while the wall clock is not synchronised."""

    def __init__(self) -> None:
        self._key = ""
        self._boot_ms = 0
        self._wall: datetime | None = None

    def of(self, key: str, now: Now) -> datetime | None:
        """Return since when `key`, a session's id or else a state, has been the same, in UTC and whole milliseconds."""
        if key != self._key:
            self._key, self._boot_ms, self._wall = key, now.boot_ms, None
        if self._wall is None and now.synced and now.local is not None:
            at = now.local.astimezone(UTC) - timedelta(milliseconds=now.boot_ms - self._boot_ms)
            self._wall = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return self._wall

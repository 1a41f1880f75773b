"""Computes when the machine's session began or, without a session, its state.

A session that waits for its job to end is still the same session: people ask since when the machine has been on. The
rules know boot time only, and people read wall time. The time is computed once: computed each second, it would follow
every drift of the wall clock and be published as a change each time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fabgate.rules.vocabulary import Now


class Since:
    """The beginning of the session or state, as wall time."""

    def __init__(self) -> None:
        self._key = ""
        self._boot_ms = 0
        self._wall: datetime | None = None

    def of(self, key: str, now: Now) -> datetime | None:
        """Return when `key` (a session's id, or a state) began, in UTC and whole milliseconds.

        None while the wall clock is not synchronised.
        """
        if key != self._key:
            self._key, self._boot_ms, self._wall = key, now.boot_ms, None
        if self._wall is None and now.synced and now.local is not None:
            at = now.local.astimezone(UTC) - timedelta(milliseconds=now.boot_ms - self._boot_ms)
            self._wall = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return self._wall

"""Decides when the journal forks, where the collector repeatedly reports another history.

The first time at once: an older copy of the card was put back, and the collector knows other entries under the same
numbers. Each fork copies the whole journal, so a collector with wrong hashes must not cause one fork after the other:
the second waits a minute, each later one twice as long as the last, up to an hour. A matching acknowledgement ends
that, if it confirms all entries that the last fork copied and comes after the wait that followed that fork.

Pure: no clock, no sockets. Times are boot milliseconds.
"""

from __future__ import annotations

from typing import Final

WAIT_FIRST_MS: Final = 60_000
WAIT_MOST_MS: Final = 3_600_000


class Forks:
    """Decides when one gate forks its journal."""

    def __init__(self) -> None:
        #: How many forks there were since a matching acknowledgement.
        self.count = 0
        #: How long the next fork waits.
        self.wait_ms = 0
        self._due_ms: int | None = None
        self._differs_at = 0
        self._forked_ms = 0
        self._copied = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a fork is due later: this journal is not delivered until then."""
        return self._due_ms is not None

    def begin(self, head: int) -> None:
        """Begin with another journal, which has `head` entries already."""
        self._due_ms = None
        self._copied = head

    def differs(self, seq: int, now_ms: int) -> bool:
        """Note that the collector has another entry `seq`; return whether that is new."""
        if self._due_ms is not None:
            return False
        self._differs_at = seq
        self._due_ms = now_ms + self.wait_ms
        return True

    def agrees(self, seq: int, now_ms: int) -> bool:
        """Note that the collector has our entry `seq`; return whether this ends a series of forks."""
        if self._due_ms is not None and seq >= self._differs_at:
            self._due_ms = None
        ends = self._due_ms is None and seq >= self._copied and now_ms - self._forked_ms >= self.wait_ms
        if not (ends and self.count):
            return False
        self.count = self.wait_ms = 0
        return True

    def due(self, now_ms: int) -> bool:
        """Return whether the journal has to fork now: True once for each fork."""
        if self._due_ms is None or now_ms < self._due_ms:
            return False
        self._due_ms = None
        self._forked_ms = now_ms
        self.count += 1
        self.wait_ms = min(max(2 * self.wait_ms, WAIT_FIRST_MS), WAIT_MOST_MS)
        return True

    def deadline(self) -> int | None:
        """Return when ``due`` has to be called, or None."""
        return self._due_ms

"""When does the journal go on as another one, if the collector says again and again that it knows another history?

The first time at once: somebody put a card back, and what was written since has numbers that the collector knows
otherwise. Each fork copies the whole journal, so a collector that answers wrong hashes must not cause one after the
other: the second waits a minute, each later one twice as long as the last, up to an hour. A matching acknowledgement
ends that, once it confirms all that the last fork copied and comes no sooner than the wait that the last one began.

Pure: no clock, no sockets. Times are boot milliseconds.
"""

from __future__ import annotations

from typing import Final

WAIT_FIRST_MS: Final = 60_000
WAIT_MOST_MS: Final = 3_600_000


class Forks:
    """The pace of one gate's forks."""

    def __init__(self) -> None:
        #: How many there were since a matching acknowledgement ended the last ones.
        self.count = 0
        #: How long the next one is waited for.
        self.wait_ms = 0
        self._due_ms: int | None = None
        self._differs_at = 0
        self._forked_ms = 0
        self._copied = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a fork is due later: nothing of this journal is delivered until then."""
        return self._due_ms is not None

    def begin(self, head: int) -> None:
        """Take that another journal is delivered from now on, which holds `head` entries already."""
        self._due_ms = None
        self._copied = head

    def differs(self, seq: int, now_ms: int) -> bool:
        """Take that the collector has another entry `seq`; say whether that is news."""
        if self._due_ms is not None:
            return False
        self._differs_at = seq
        self._due_ms = now_ms + self.wait_ms
        return True

    def agrees(self, seq: int, now_ms: int) -> bool:
        """Take that the collector has our entry `seq`; say whether all is well now, and was not before."""
        if self._due_ms is not None and seq >= self._differs_at:
            self._due_ms = None
        ends = self._due_ms is None and seq >= self._copied and now_ms - self._forked_ms >= self.wait_ms
        if not (ends and self.count):
            return False
        self.count = self.wait_ms = 0
        return True

    def due(self, now_ms: int) -> bool:
        """Whether the journal is to go on as another one now. True once for each fork."""
        if self._due_ms is None or now_ms < self._due_ms:
            return False
        self._due_ms = None
        self._forked_ms = now_ms
        self.count += 1
        self.wait_ms = min(max(2 * self.wait_ms, WAIT_FIRST_MS), WAIT_MOST_MS)
        return True

    def deadline(self) -> int | None:
        """Return when ``due`` wants to be asked, or None."""
        return self._due_ms

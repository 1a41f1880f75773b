"""Decides which entries are published next, and when again. The pure half of the uplink: no sockets, no clock.

Entries are published in order. An entry counts as delivered only when the collector acknowledges it, which moves the
**mark**; the broker's PUBACK only makes room for the next one. How many entries may await the acknowledgement is in
uplink/window.py. All entries after the mark are published again

(a) on every connect,
(b) when entries are unacknowledged and the mark has not moved for ``resend_ms``, doubling up to ``resend_max_ms``,
(c) ``BELOW_MS`` after the first ack below the mark, unless one at or above it follows: the collector was restored
    from a copy and knows less. The mark becomes the latest such ack; a further lower one does not restart the time,
    because with steady traffic the time would never end.

Without (b) a broker that drops queued messages (Mosquitto with default settings drops 3,000 of 4,000) would stall the
stream for ever, because no reconnection is needed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from fabgate.gate.uplink.window import AckWindow
from fabgate.wire import PUBACK_WINDOW

BELOW_MS: Final = 5_000
_JITTER: Final = 0.2


class AckResult(StrEnum):
    """What an acknowledgement means for the mark."""

    MOVED = "moved"
    SAME = "same"
    BELOW = "below"
    PARTIAL = "partial"  # entries that we have may be missing: the collector does not know yet that we have them
    FORK = "fork"  # the collector has seen another history of this journal: a restored image or a cloned card


class Delivery:
    """The position of one journal's stream. Times are boot milliseconds; `jitter` returns 0 to 1."""

    def __init__(
        self,
        *,
        floor: int,
        head: int,
        mark: int,
        resend_ms: int = 10_000,
        resend_max_ms: int = 300_000,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.floor = floor
        self.head = head
        self.mark = max(mark, floor - 1)
        self.next = self.mark + 1
        self.connected = False
        self._resend_ms = resend_ms
        self._resend_max_ms = resend_max_ms
        self._jitter = jitter
        self._pause_ms = resend_ms
        self._in_flight = 0
        self._window = AckWindow()
        self._moved_at = 0
        self._below: int | None = None
        self._below_at: int | None = None

    # --- events -------------------------------------------------------------------------------------------------------

    def connect(self, now_ms: int) -> None:
        """Begin again after the mark."""
        self.connected = True
        self._in_flight = 0
        self._pause_ms = self._resend_ms
        self._window.begin()
        self._rewind(now_ms)

    def disconnect(self) -> None:
        """Publish nothing until connected again."""
        self.connected = False

    def stored(self, head: int, now_ms: int) -> None:
        """Note that the journal has grown to `head`."""
        if self.mark == self.head:
            # The time without an ack counts from the first unacknowledged entry: counted from the last one, steady traffic
            # would postpone the repetition for ever.
            self._moved_at = now_ms
            self._window.begin()
        self.head = max(self.head, head)

    def trimmed(self, floor: int) -> None:
        """Note that the oldest entries were trimmed; the mark is never below `floor` - 1."""
        self.floor = floor
        self.mark = max(self.mark, floor - 1)
        self.next = max(self.next, self.mark + 1)

    def puback(self) -> None:
        """Note that the broker has confirmed one entry."""
        self._in_flight = max(0, self._in_flight - 1)

    def ack(self, seq: int, *, floor: int = 0, same_history: bool, now_ms: int) -> AckResult:
        """Process an acknowledgement; `same_history` is whether its hash is that of our entry `seq`.

        It confirms the entries from `floor` on. Our own floor is lower only where an image of the card was put back.
        """
        if seq < self.floor - 1:
            seq, same_history = self.floor - 1, True  # older than all kept entries: nothing can be compared
        if seq > self.head or not same_history:
            self._below = self._below_at = None  # after a fork this journal is not published again
            return AckResult.FORK
        if seq < self.mark:
            if self._below_at is None:
                self._below_at = now_ms + BELOW_MS
            self._below = seq
            return AckResult.BELOW
        if seq > self.mark and floor > max(self.floor, self.mark + 1):
            return AckResult.PARTIAL
        self._below = self._below_at = None
        if seq == self.mark:
            return AckResult.SAME
        self._window.acknowledged(seq - self.mark)
        self.mark = seq
        self.next = max(self.next, seq + 1)
        self._moved_at = now_ms
        self._pause_ms = self._resend_ms
        return AckResult.MOVED

    # --- what to publish ----------------------------------------------------------------------------------------------

    def room(self) -> int:
        """Return how many entries, from ``next`` on, may be published now."""
        if not self.connected:
            return 0
        return max(
            0,
            min(
                PUBACK_WINDOW - self._in_flight,
                self._window.size - (self.next - 1 - self.mark),
                self.head - self.next + 1,
            ),
        )

    def sent(self, seq: int) -> None:
        """Remember that entry `seq` was published."""
        self.next = seq + 1
        self._in_flight += 1

    def deadline(self) -> int | None:
        """Return when ``due`` has to be called, or None."""
        times = []
        if self.connected and self.mark < self.next - 1:
            times.append(self._moved_at + self._pause_ms)
        if self._below_at is not None:
            times.append(self._below_at)
        return min(times, default=None)

    def due(self, now_ms: int) -> bool:
        """Act on the time; return whether publishing starts again after the mark (then the status is published too)."""
        again = False
        if self._below_at is not None and now_ms >= self._below_at:
            assert self._below is not None
            self.mark, self._below, self._below_at = max(self._below, self.floor - 1), None, None
            again = True
        if self.connected and self.mark < self.next - 1 and now_ms >= self._moved_at + self._pause_ms:
            doubled = min(self._pause_ms * 2, self._resend_max_ms)
            self._pause_ms = round(doubled * (1 - _JITTER * self._jitter()))
            self._window.lost()
            again = True
        if again:
            self._rewind(now_ms)
        return again

    def _rewind(self, now_ms: int) -> None:
        self.next = self.mark + 1
        self._moved_at = now_ms

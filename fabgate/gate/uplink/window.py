"""How many entries may await the collector's acknowledgement? As many as get through. Pure: no sockets, no clock.

A broker drops what its queue for the collector does not take, and tells nobody (an untouched Mosquitto keeps a thousand
messages, of all gates together). What it dropped is missed only after ``uplink.resend_s``; a window that is too small
costs milliseconds. So a gate begins with little, doubles while everything arrives, and remembers where it did not:
TCP's way with a network that drops (RFC 5681: slow start, then congestion avoidance), but for two numbers. It goes on
from a quarter of what was too much, not half, because a loss costs us ten seconds and not a round trip; and the least
is more than one entry, or each would wait for a commit of its own.
"""

from __future__ import annotations

from typing import Final

from fabgate.wire import ACK_WINDOW, PUBACK_WINDOW

#: What a gate begins with, and again whenever it had nothing to deliver for a while: what it learnt then is old.
FIRST: Final = PUBACK_WINDOW
LEAST: Final = 10
_SHARE: Final = 4


class Window:
    """The window of one stream; `size` entries at most may await the collector's acknowledgement."""

    def __init__(self) -> None:
        self.size = FIRST
        #: Up to here it grows by every entry that was acknowledged, beyond by one for each windowful.
        self._enough = ACK_WINDOW
        self._credit = 0
        self._has_moved = False

    def begin(self) -> None:
        """Take that there is something to deliver after there was nothing, or a new connection."""
        self.size = min(self.size, FIRST)
        self._credit = 0

    def acknowledged(self, entries: int) -> None:
        """Take that so many more entries are safe."""
        self._has_moved = True
        if self.size < self._enough:
            self.size = min(self.size + entries, self._enough)
            return
        self._credit += entries
        while self._credit >= self.size and self.size < ACK_WINDOW:
            self._credit -= self.size
            self.size += 1

    def lost(self) -> None:
        """Take that acknowledgements stopped. Where none came since the last time, nobody is there: that is no crowd."""
        if self._has_moved:
            self._enough = max(LEAST, self.size // _SHARE)
        self.size, self._credit, self._has_moved = LEAST, 0, False

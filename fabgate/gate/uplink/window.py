"""Limits how many entries may await the collector's acknowledgement. Pure: no sockets, no clock.

A broker silently drops messages that do not fit into its queue for the collector (Mosquitto with default settings keeps
a thousand, of all gates together). A dropped entry is published again only after ``uplink.resend_s``; a window that is
too small costs milliseconds. So a gate begins with a small window, doubles it while everything arrives, and remembers
where entries were lost, as TCP does (RFC 5681: slow start, then congestion avoidance), with two differences. It continues
at a quarter of the size that was too large, not at half, because a loss costs ten seconds instead of a round trip; and
the smallest window is more than one entry, because each would otherwise wait for its own commit.
"""

from __future__ import annotations

from typing import Final

from fabgate.wire import ACK_WINDOW, PUBACK_WINDOW

#: The size at the beginning, and again whenever there was nothing to deliver: what was learnt before is outdated.
FIRST: Final = PUBACK_WINDOW
LEAST: Final = 10
_SHARE: Final = 4


class AckWindow:
    """The window of one stream: at most `size` entries may await the collector's acknowledgement."""

    def __init__(self) -> None:
        self.size = FIRST
        #: Up to this size it grows by every acknowledged entry, beyond it by one for each full window.
        self._enough = ACK_WINDOW
        self._credit = 0
        self._has_moved = False

    def begin(self) -> None:
        """Begin again: there is something to deliver after there was nothing, or a new connection."""
        self.size = min(self.size, FIRST)
        self._credit = 0

    def acknowledged(self, entries: int) -> None:
        """Count acknowledged entries."""
        self._has_moved = True
        if self.size < self._enough:
            self.size = min(self.size + entries, self._enough)
            return
        self._credit += entries
        while self._credit >= self.size and self.size < ACK_WINDOW:
            self._credit -= self.size
            self.size += 1

    def lost(self) -> None:
        """Note that acknowledgements stopped. If there were none since the last time, the collector is away."""
        if self._has_moved:
            self._enough = max(LEAST, self.size // _SHARE)
        self.size, self._credit, self._has_moved = LEAST, 0, False

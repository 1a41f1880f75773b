"""Treats a reader that fails and recovers again and again as faulty.

A chip that loses its settings, or a plug with a bad contact, is back within a second each time. A tap in that second is
not read, and the member believes that their session has ended. So after `MANY` recoveries within `WINDOW_MS` the reader
counts as faulty until it has answered for `STEADY_MS` without another one.

Pure: no clock. Times are boot milliseconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MANY: Final = 10
WINDOW_MS: Final = 600_000
STEADY_MS: Final = 300_000
#: A reader that has not answered for this long does not count as working.
SILENT_MS: Final = 5_000


class UnsteadyReader:
    """One reader's recoveries."""

    def __init__(self) -> None:
        self._recovered_ms: deque[int] = deque(maxlen=MANY)
        self._is_faulty = False

    def recovered(self, now_ms: int) -> str:
        """Count a recovery; return what is wrong with the reader, or "" while it is trusted."""
        self._recovered_ms.append(now_ms)
        many = len(self._recovered_ms) == MANY and now_ms - self._recovered_ms[0] <= WINDOW_MS
        self._is_faulty = self._is_faulty or many
        if not self._is_faulty:
            return ""
        return (
            f"the reader failed and recovered {MANY} times within {WINDOW_MS // 60_000} minutes: check its power supply,"
            " its plug and its wires"
        )

    def is_over(self, now_ms: int, *, answered_ms: int) -> bool:
        """Return whether the fault of an unsteady reader has just ended: True once for each fault."""
        steady = now_ms - (self._recovered_ms[-1] if self._recovered_ms else 0) >= STEADY_MS
        if not (self._is_faulty and steady and now_ms - answered_ms <= SILENT_MS):
            return False
        self._is_faulty = False
        self._recovered_ms.clear()
        return True

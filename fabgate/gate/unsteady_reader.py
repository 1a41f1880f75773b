"""Is a reader that recovers again and again a reader that works? No: that is a fault of its own.

A chip that loses its settings, or a plug that loses its contact, is back within a second each time. Who taps in that
second is not read, and whoever comes next thinks that the machine has ended their session. So after `MANY` recoveries
within `WINDOW_MS` the reader counts as faulty until it has answered for `STEADY_MS` without one.

Pure: no clock. Times are boot milliseconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MANY: Final = 10
WINDOW_MS: Final = 600_000
STEADY_MS: Final = 300_000
#: A reader that was not seen to answer for so long does not count as one that answers.
SILENT_MS: Final = 5_000


class Unsteady:
    """One reader's recoveries."""

    def __init__(self) -> None:
        self._recovered_ms: deque[int] = deque(maxlen=MANY)
        self._is_faulty = False

    def recovered(self, now_ms: int) -> str:
        """Take a recovery; return what is wrong with the reader, or nothing as long as it is believed."""
        self._recovered_ms.append(now_ms)
        many = len(self._recovered_ms) == MANY and now_ms - self._recovered_ms[0] <= WINDOW_MS
        self._is_faulty = self._is_faulty or many
        if not self._is_faulty:
            return ""
        return (
            f"the reader failed and recovered {MANY} times within {WINDOW_MS // 60_000} minutes: check its power supply,"
            " its plug and its wires"
        )

    def is_over(self, now_ms: int, *, looked_at_ms: int) -> bool:
        """Whether such a fault has just ended. True once for each."""
        steady = now_ms - (self._recovered_ms[-1] if self._recovered_ms else 0) >= STEADY_MS
        if not (self._is_faulty and steady and now_ms - looked_at_ms <= SILENT_MS):
            return False
        self._is_faulty = False
        self._recovered_ms.clear()
        return True

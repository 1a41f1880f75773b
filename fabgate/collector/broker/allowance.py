"""How much may each gate send to be stored? So much that the disk lasts for months, and no honest gate ever meets it.

Valid entries stay for ever: whoever has the account of one gate could fill the disk with them, which all gates need.
Decided in docs/decisions/0070. Pure: times are monotonic seconds.
"""

from __future__ import annotations

from typing import Final

#: Of one gate, in bytes: at once, and in a day. A gate keeps 100,000 entries at most, and those that it keeps after months
#: without a collector are 170 MB as they are counted here; a busy day is a hundredth of it.
MOST_BYTES: Final = 256 * 1024 * 1024
_A_SECOND: Final = MOST_BYTES / 86_400
#: What a message takes in the database besides its body: its row, its indexes and what is derived from it.
STORED_BYTES: Final = 1024


class Allowance:
    """What one gate may still send: it is full at first, and fills up again within a day."""

    __slots__ = ("_at_s", "_left")

    def __init__(self, now_s: float) -> None:
        self._left = float(MOST_BYTES)
        self._at_s = now_s

    def spend(self, size: int, now_s: float) -> bool:
        """Take a message with a body of `size` bytes off it; return False, and take nothing, where too little is left."""
        size += STORED_BYTES
        if size > self._left:
            self._left = min(self._left + (now_s - self._at_s) * _A_SECOND, float(MOST_BYTES))
            self._at_s = now_s
            if size > self._left:
                return False
        self._left -= size
        return True

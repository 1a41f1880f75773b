"""Limits how much each gate may send, so that the disk lasts for months. No healthy gate ever reaches the limit.

Valid entries are kept forever: through the account of one gate, the disk that all gates need could be filled with them.
Decided in docs/decisions/0070. Pure: times are monotonic seconds.
"""

from __future__ import annotations

from typing import Final

#: Bytes that one gate may send at once, and per day. A gate keeps at most 100,000 entries, 170 MB as counted here,
#: after months without a collector; a busy day has a hundredth of that.
MOST_BYTES: Final = 256 * 1024 * 1024
_A_SECOND: Final = MOST_BYTES / 86_400
#: Bytes that a message needs in the database besides its body: its row, its indexes, and rows derived from it.
STORED_BYTES: Final = 1024


class Allowance:
    """How many bytes one gate may still send. It begins full, and is full again within a day."""

    __slots__ = ("_at_s", "_left")

    def __init__(self, now_s: float) -> None:
        self._left = float(MOST_BYTES)
        self._at_s = now_s

    def spend(self, size: int, now_s: float) -> bool:
        """Subtract a message with a body of `size` bytes and return True; return False if too little is left."""
        size += STORED_BYTES
        if size > self._left:
            self._left = min(self._left + (now_s - self._at_s) * _A_SECOND, float(MOST_BYTES))
            self._at_s = now_s
            if size > self._left:
                return False
        self._left -= size
        return True

"""Counts refused messages by topic, and decides when to report them, so that a flood fills neither log nor wire.

Pure: no clock. Times are boot milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The first refused message of a topic is reported at once; later ones once in this time.
REPORT_EVERY_S: Final = 60


@dataclass(slots=True)
class Refusals:
    """The refused messages of one topic; `detail` is why the last one was refused."""

    count: int = 0
    detail: str = ""
    _reported: int = 0
    _reported_ms: int = 0

    def add(self, detail: str, now_ms: int) -> bool:
        """Count one; return whether to report it now."""
        self.count += 1
        self.detail = detail
        return self._reported == 0 or now_ms - self._reported_ms >= REPORT_EVERY_S * 1000

    def has_unreported(self) -> bool:
        """Return whether messages were refused since the last report."""
        return self._reported < self.count

    def reported(self, now_ms: int) -> None:
        """Note that all of them have been reported."""
        self._reported, self._reported_ms = self.count, now_ms

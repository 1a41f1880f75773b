"""A progress bar for verbs that take long."""

from __future__ import annotations

import time
from typing import Final, TextIO

#: How often it is drawn, in seconds, and its width.
_DRAW_EVERY_S: Final = 0.2
_WIDTH: Final = 30


class Bar:
    """A progress bar, if the output is a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out if out.isatty() else None
        self._began = self._drawn = time.monotonic()

    def show(self, done: int, size: int) -> None:
        """Draw the bar, but not too often."""
        now = time.monotonic()
        if self._out is None or not size or now - self._drawn < _DRAW_EVERY_S:
            return
        self._drawn = now
        full = _WIDTH * done // size
        left_s = (now - self._began) / done * (size - done) if done else 0
        text = f"{'█' * full}{'░' * (_WIDTH - full)} {100 * done // size:3} %"
        self._out.write(f"\r{text}, {left_s:.0f} s left \x1b[K")
        self._out.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._out is not None:
            self._out.write("\r\x1b[K")
            self._out.flush()

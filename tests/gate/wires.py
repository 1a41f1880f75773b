"""Wired inputs, whose circuits a test opens and closes, and which break and hang as it wants."""

from __future__ import annotations

import threading

from fabgate.errors import HardwareError

GONE = "the inputs cannot be read: gone"


class Wires:
    """The wired inputs, each closed until it is pressed."""

    def __init__(self, *names: str) -> None:
        self.reads = 0
        self.levels = dict.fromkeys(names, False)
        self.is_broken = False
        #: While it is clear, a read hangs.
        self.answers, self.hanging = threading.Event(), threading.Event()
        self.answers.set()

    def open(self) -> None:
        if self.is_broken:
            raise HardwareError("no such pin")

    def close(self) -> None: ...

    def read(self) -> dict[str, bool]:
        if not self.answers.is_set():
            self.hanging.set()
            self.answers.wait()
        if self.is_broken:
            raise HardwareError(GONE)
        self.reads += 1
        return dict(self.levels)

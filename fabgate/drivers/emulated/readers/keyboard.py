"""An emulated reader that types: a named pipe with the events that the kernel makes of a keyboard's keys.

    with Keyboard(Path("/tmp/reader")) as keyboard:
        keyboard.type("0011649747")

A gate with ``reader: {driver: keyboard, event_path: /tmp/reader, format: number10}`` then reads a badge.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from fabgate.drivers.readers.keyboard import DIGIT_KEYS, EV_KEY, EV_SYN, EVENT, LETTER_KEYS, PRESSED, RELEASED

#: Some keys of linux/input-event-codes.h.
ENTER: Final = 28
_KEYS: Final = {sign: code for code, sign in reversed([*DIGIT_KEYS.items(), *LETTER_KEYS.items()])}


class Keyboard:
    """A device at `path`. `clock` gives the times of its events, in seconds."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._pipe = -1
        self.plug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def type(self, text: str, *, enter: bool = True) -> None:
        """Press and release the keys of hex digits, and Enter."""
        for sign in text:
            self.press(_KEYS[sign.upper()])
        if enter:
            self.press(ENTER)

    def press(self, code: int) -> None:
        """Press a key and release it."""
        for value in (PRESSED, RELEASED):
            self.event(EV_KEY, code, value)
            self.event(EV_SYN, 0, 0)

    def event(self, kind: int, code: int, value: int) -> None:
        """Send one event."""
        now = self._clock()
        os.write(self._pipe, EVENT.pack(int(now), int(now % 1 * 1_000_000), kind, code, value))

    def plug(self) -> None:
        """Let the device appear."""
        os.mkfifo(self._path, 0o600)
        self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)

    def unplug(self) -> None:
        """Let the device vanish."""
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.close(self._pipe)

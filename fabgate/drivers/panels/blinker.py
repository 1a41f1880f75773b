"""A light that is steady or blinks, made of pins or of pixels."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

BLINK_S: Final = 0.5
#: Red, green and blue (or the third LED), from 0 to 1.
Colour = tuple[float, float, float]
OFF: Final[Colour] = (0.0, 0.0, 0.0)


class Blinker:
    """Shows colours through `put`, which it calls from any thread, but from one at a time.

    A thread for each change, as gpiozero's own blinking has, took up to 180 ms on a busy computer; this one thread only
    toggles what ``show`` has lit.
    """

    def __init__(self, put: Callable[[Colour], None]) -> None:
        self._put = put
        #: The colour that blinks, None for a steady one.
        self._blinking: Colour | None = None
        self._changed = threading.Condition()
        self._is_closed = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._blink, name="lights", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what `put` has raised while a colour blinked."""
        if self._error is not None:
            raise self._error

    def show(self, colour: Colour, *, blinks: bool) -> None:
        """Show a colour. Raises what `put` raises."""
        with self._changed:
            self._put(colour)
            self._blinking = colour if blinks else None
            self._changed.notify()

    def close(self) -> None:
        """Blink no more."""
        with self._changed:
            self._is_closed, self._blinking = True, None
            self._changed.notify()
        self._thread.join(1)

    def _blink(self) -> None:
        is_lit = True
        with self._changed:
            while not self._is_closed:
                if self._changed.wait(None if self._blinking is None else BLINK_S) or self._blinking is None:
                    is_lit = True  # another light is shown since now
                    continue
                is_lit = not is_lit
                try:
                    self._put(self._blinking if is_lit else OFF)
                except Exception as error:  # noqa: BLE001 - gpiozero's pin libraries have errors of their own
                    self._error = error
                    return

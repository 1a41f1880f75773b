"""The emulated display of a gate: the chip that takes its bytes, and what a person sees on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fabgate.drivers.emulated.displays.frame import frame_of
from fabgate.drivers.emulated.displays.i2c import Board, EmulatedBus
from fabgate.drivers.emulated.displays.lcd_chip import LcdChip
from fabgate.drivers.emulated.displays.oled_chip import OledChip

#: The addresses that the drivers expect.
_ADDRESS: Final = {"oled": 0x3C, "lcd": 0x27}


class Display:
    """A display of a `kind`, oled or lcd, whose bytes come to a socket at `path`. It keeps its picture if the gate dies."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.section = {"driver": kind, "chip": "emulated", "i2c_socket": str(path)}
        self._chip = OledChip("sh1106") if kind == "oled" else LcdChip(20, 4)
        self._bus = EmulatedBus()
        self._bus.chips[_ADDRESS[kind]] = self._chip
        self._board = Board(path, self._bus)
        #: How many bytes the bus had taken when the picture was drawn.
        self._drawn_at = -1
        self._picture: dict[str, Any] = {}

    def picture(self) -> dict[str, Any]:
        """Return what it shows: its size in dots, the lit ones as the path of an SVG, and whether there is light."""
        with self._board.lock:
            if self._drawn_at != self._bus.taken:
                self._drawn_at, frame = self._bus.taken, frame_of(self._chip)
                self._picture = {
                    "kind": self.kind,
                    "width": frame.width,
                    "height": len(frame.rows),
                    "strokes": frame.strokes(),
                    "is_lit": frame.is_lit,
                }
            return self._picture

    def lose_power(self) -> None:
        """Go dark, and forget everything."""
        with self._board.lock:
            self._chip.lose_power()
            self._drawn_at = -1

    def close(self) -> None:
        """Remove the socket."""
        self._board.close()

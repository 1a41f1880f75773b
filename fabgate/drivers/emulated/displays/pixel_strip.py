"""A strip of NeoPixels in software (WS2812B, Worldsemi's datasheet), with the methods of ``spidev.SpiDev``.

It decodes the MOSI line of its bus by how long that is high and low.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from itertools import groupby
from typing import Final

#: How long the line is high for a 0 and for a 1, and low until the pixels show what came: microseconds.
_ZERO_US: Final = (0.2, 0.4)
_ONE_US: Final = (0.55, 0.85)
_RESET_US: Final = 280.0


class PixelStrip:
    """Pixels at one SPI device. `colours` has the bytes that each shows, in the order of the wire; None before the first.

    A pulse that is neither a 0 nor a 1 leaves all pixels as they are and counts in `misfits`.
    """

    def __init__(self, pixels: int, *, bus: int = 1, device: int = 0) -> None:
        self.colours: list[bytes | None] = [None] * pixels
        self.misfits = 0
        #: What opening or writing raises: an errno, 0 for nothing.
        self.errno = 0
        self.max_speed_hz = 125_000_000
        self.mode = 0
        self.is_open = False
        self._place = bus, device

    def open(self, bus: int, device: int) -> None:
        """Open the device. Raises OSError where it is another one."""
        if (bus, device) != self._place:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", f"/dev/spidev{bus}.{device}")
        self._fail()
        self.is_open = True

    def close(self) -> None:
        """Close the device; the pixels stay as they are."""
        self.is_open = False

    def writebytes2(self, values: Sequence[int]) -> None:
        """Take bytes of any number, the highest bit first."""
        if not self.is_open:
            raise OSError(errno.EBADF, "Bad file descriptor")
        self._fail()
        bit_us = 1e6 / self.max_speed_hz
        line = "".join(f"{byte:08b}" for byte in values)
        bits = ""
        for level, run in groupby(line):
            for_us = len(list(run)) * bit_us
            if level == "0":
                if for_us >= _RESET_US:
                    self._latch(bits)
                    bits = ""
            elif _ZERO_US[0] <= for_us <= _ZERO_US[1]:
                bits += "0"
            elif _ONE_US[0] <= for_us <= _ONE_US[1]:
                bits += "1"
            else:
                self.misfits += 1
                bits = ""
        # What no reset follows is not shown.

    def _latch(self, bits: str) -> None:
        """Show what came: each pixel takes 24 bits and hands on the rest."""
        for n in range(min(len(bits) // 24, len(self.colours))):
            self.colours[n] = int(bits[n * 24 : n * 24 + 24], 2).to_bytes(3, "big")

    def _fail(self) -> None:
        if self.errno:
            raise OSError(self.errno, "no such luck")

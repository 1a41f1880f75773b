"""A replacement for the module `spidev`, through which the real `mfrc522` package reaches an emulated chip.

``install`` puts it into ``sys.modules`` and a chip behind one bus and device number. Code that imports ``spidev``
afterwards and opens that device talks to the chip. It has only what a driver of one chip needs: open, close, xfer, xfer2,
writebytes, max_speed_hz, mode.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

from fabgate.drivers.emulated.chip import Chip

#: One chip for each device and process, just as /dev/spidev0.0 is one device for the whole computer.
_chips: dict[tuple[int, int], Chip] = {}


class SpiDev:
    """``spidev.SpiDev`` with an emulated chip on the other end."""

    def __init__(self, bus: int | None = None, device: int | None = None) -> None:
        self.max_speed_hz = 125_000_000
        self.mode = 0
        self._chip: Chip | None = None
        if bus is not None and device is not None:
            self.open(bus, device)

    def open(self, bus: int, device: int) -> None:
        """Open ``/dev/spidev<bus>.<device>``. Raises FileNotFoundError as spidev does when it is not there."""
        chip = _chips.get((bus, device))
        if chip is None:
            raise FileNotFoundError(2, f"No such file or directory: /dev/spidev{bus}.{device} (no emulated chip there)")
        self._chip = chip

    def xfer2(self, values: Sequence[int], speed_hz: int = 0, delay_usec: int = 0, bits_per_word: int = 8) -> list[int]:
        """Exchange bytes in one transfer. Raises OSError when the device is not open."""
        del speed_hz, delay_usec, bits_per_word
        if self._chip is None:
            raise OSError(9, "Bad file descriptor: the SPI device is not open")
        return self._chip.transfer(values)

    xfer = xfer2

    def writebytes(self, values: Sequence[int]) -> None:
        """Send bytes in one transfer and drop the answer."""
        self.xfer2(values)

    def close(self) -> None:
        """Close the device; a second call does nothing."""
        self._chip = None


def install(chip: Chip, bus: int = 0, device: int = 0) -> ModuleType:
    """Put `chip` behind this bus and device, and the replacement into ``sys.modules['spidev']``; return the module.

    The module is the same each time, so a package that imported it before reaches the new chip too.
    """
    _chips[bus, device] = chip
    sys.modules["spidev"] = _MODULE
    return _MODULE


def uninstall(bus: int = 0, device: int = 0) -> None:
    """Remove the chip; opening the device fails from now on, and open devices stay open."""
    _chips.pop((bus, device), None)


def _module() -> ModuleType:
    module = ModuleType("spidev", "A stand-in for spidev with emulated chips behind it.")
    module.__dict__.update(SpiDev=SpiDev, EMULATED=True)
    return module


_MODULE = _module()

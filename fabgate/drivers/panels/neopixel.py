"""Lights of NeoPixels: LEDs with a chip in each (WS2812B, SK6812) on one wire, which the MOSI line of an SPI bus drives.

A pixel knows bits by how long its line is high (Worldsemi's and Opsco's datasheets): 0.2 to 0.4 us is a 0, 0.55 to 0.85 us
a 1, one bit every 1.25 us, and 280 us of low show what came. At 3.2 MHz an SPI bit is 0.3125 us, so four of them are a bit:
``1000`` or ``1100``. Each byte ends low, so a pause of the bus between two bytes changes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import time
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.blinker import OFF, Blinker, Colour
from fabgate.drivers.panels.lights import COLOURS
from fabgate.errors import HardwareError

SPEED_HZ: Final = 3_200_000
#: Low for 300 us, before the first bit, which some buses begin too early, and after the last one.
_RESET: Final = bytes(SPEED_HZ * 300 // 8_000_000)
#: Two bits in each byte of SPI, the first one in its upper half.
_PAIRS: Final = (0b1000_1000, 0b1000_1100, 0b1100_1000, 0b1100_1100)
#: The four bytes of SPI for each byte of a pixel.
_BYTES: Final = tuple(bytes(_PAIRS[byte >> shift & 3] for shift in (6, 4, 2, 0)) for byte in range(256))
#: The pixels are written again this often: they cannot be asked whether they have lost power for a moment.
AGAIN_S: Final = 9.0


class NeopixelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: neopixel}``; all `pixels` show the same colour.

    `spi_bus` is not the reader's. `order` is that of the colours on the wire. `pixel_brightness` is in percent: one pixel at
    100 takes up to 60 mA.
    """

    spi_bus: Annotated[int, msgspec.Meta(ge=0, le=6)] = 1
    spi_device: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    pixels: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    order: Literal["grb", "rgb"] = "grb"
    pixel_brightness: Annotated[int, msgspec.Meta(ge=1, le=100)] = 30


class NeopixelPanel:
    """The Panel contract with light alone."""

    Options = NeopixelOptions
    needs: ClassVar = {"spidev": "fabgate[pi]"}
    repeats = True

    def __init__(self, options: NeopixelOptions) -> None:
        self._options = options
        self._spi: Any = None
        self._blinker: Blinker | None = None
        self._shown = ""
        self._shown_s = 0.0

    @staticmethod
    def make_spi() -> Any:
        """Return a device of spidev that is not open yet. Emulated pixels replace it."""
        from spidev import SpiDev  # noqa: PLC0415 - a gate without NeoPixels may have no such package

        return SpiDev()

    def open(self) -> None:
        """Claim the SPI device; the pixels are dark. Raises HardwareError."""
        options = self._options
        try:
            self._spi = self.make_spi()
            self._spi.open(options.spi_bus, options.spi_device)
            self._spi.max_speed_hz, self._spi.mode = SPEED_HZ, 0
            self._put(OFF)
        except OSError as error:
            self.close()
            raise self._failure(error) from error
        self._shown = ""
        self._blinker = Blinker(self._put)

    def show(self, notice: Notice) -> None:
        """Show the light. A colour that this version does not know is white. Raises HardwareError."""
        assert self._blinker is not None
        name, _, blink = notice.light.partition(" ")
        try:
            self._blinker.check()
            if notice.light == self._shown and (blink or time.monotonic() - self._shown_s < AGAIN_S):
                return  # what blinks keeps its rhythm, and is written again anyway
            self._blinker.show(COLOURS["rgb"].get(name, COLOURS["rgb"]["white"]), blinks=bool(blink))
        except OSError as error:
            raise self._failure(error) from error
        self._shown, self._shown_s = notice.light, time.monotonic()

    def close(self) -> None:
        """Switch off and release the SPI device. Never raises."""
        if self._blinker is not None:
            self._blinker.close()
            self._blinker = None
        if self._spi is not None:
            for act in (lambda: self._put(OFF), self._spi.close):
                with contextlib.suppress(Exception):
                    act()
            self._spi = None

    def _put(self, colour: Colour) -> None:
        """Send one colour to all pixels. Raises OSError."""
        most = 255 * self._options.pixel_brightness // 100
        levels = dict(zip("rgb", colour, strict=True))
        pixel = b"".join(_BYTES[round(levels[part] * most)] for part in self._options.order)
        self._spi.writebytes2(_RESET + pixel * self._options.pixels + _RESET)

    def _failure(self, error: OSError) -> HardwareError:
        """Return what an error of the SPI device means."""
        bus, device = self._options.spi_bus, self._options.spi_device
        name = f"/dev/spidev{bus}.{device}"
        if error.errno in (errno.ENOENT, errno.ENODEV):
            line = "dtparam=spi=on" if bus == 0 else f"dtoverlay=spi{bus}-1cs"
            text = f"this computer has no {name}. Switch it on: {line} in config.txt, then restart"
        elif error.errno in (errno.EACCES, errno.EPERM):
            text = f"this account has no right to open {name}. Add this user to the group spi"
        else:
            text = f"{name} cannot be written ({error.strerror or error})"
        return HardwareError(f"neopixel: {text}")

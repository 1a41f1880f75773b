"""The driver of RC522 boards on the SPI pins.

The common 13.56 MHz reader: an NXP MFRC522 or a clone, driven through the `mfrc522` package (PyPI). With
``chip: emulated`` the same code, including the package, runs on an emulated chip.

How many transfers a poll takes is measured in tests/drivers/readers/test_mfrc522.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, Literal

import msgspec

from fabgate import installed
from fabgate.drivers import open_emulated
from fabgate.drivers.readers import Card, Misread
from fabgate.drivers.readers.mfrc522.chip import ChipLink, without_package_log_handler
from fabgate.drivers.readers.radio import Poller
from fabgate.errors import HardwareError

#: The libraries of this driver, for pip; the second one without its own dependencies (docs/decisions/0002).
_LIBRARIES: Final = "pip install 'fabgate[pi]'; pip install --no-deps mfrc522==0.0.7"


class Mfrc522Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml. Pins are BCM numbers; `antenna_gain` is RxGain, 4 for 33 dB."""

    bus: Annotated[int, msgspec.Meta(ge=0)] = 0
    device: Annotated[int, msgspec.Meta(ge=0)] = 0
    speed_hz: Annotated[int, msgspec.Meta(ge=10_000, le=10_000_000)] = 1_000_000
    reset_pin: Annotated[int, msgspec.Meta(ge=0, le=27)] = 25
    antenna_gain: Annotated[int, msgspec.Meta(ge=0, le=7)] = 4
    chip: Literal["real", "emulated"] = "real"
    control_socket: str | None = None

    def __post_init__(self) -> None:
        if self.chip == "emulated" and not self.control_socket:
            raise ValueError("found chip: emulated without control_socket, wanted the path of its socket")


class Mfrc522Reader:
    """An MFRC522 as fabgate's Reader. `sleep` takes seconds and is replaced by tests only."""

    Options = Mfrc522Options
    continuous = True

    def __init__(self, options: Mfrc522Options, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.recoveries = 0
        self._options = options
        self._sleep = sleep
        self._link: ChipLink | None = None
        self._poller = Poller(self._where)

    def open(self) -> None:
        """Claim SPI device and reset pin, reset and configure the chip. Raises HardwareError."""
        self.close()
        try:
            self._link = self._claim()
            self._link.configure()
        except HardwareError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise HardwareError(f"{self._where}: {error}. Is SPI switched on and this user in group spi?") from error

    def poll(self) -> Card | Misread | None:
        """Poll once, for about 5 to 15 ms. Raises HardwareError when the chip is gone."""
        if self._link is None:
            raise HardwareError(f"{self._where} is not open: open() it before poll()")
        try:
            return self._poller.poll(self._link)
        except HardwareError:
            raise
        except OSError as error:
            raise HardwareError(f"{self._where}: {error}. Check the board and its wires") from error
        finally:
            self.recoveries = self._poller.recoveries

    def close(self) -> None:
        """Release the SPI device and the reset pin."""
        link, self._link = self._link, None
        self._poller.forget()
        if link is not None:
            link.close()

    @property
    def identity(self) -> str:
        """Return the version of the open chip, for the doctor. Raises HardwareError when it is gone."""
        return "" if self._link is None else f"{self._where}: {self._link.version()}"

    @property
    def _where(self) -> str:
        return f"the MFRC522 at spidev{self._options.bus}.{self._options.device}"

    def _claim(self) -> ChipLink:
        """Claim SPI device and reset pin. Raises HardwareError, and OSError where the SPI device cannot be opened."""
        options = self._options
        try:
            # Imported here: the options can be read on a computer without these libraries.
            import gpiozero  # noqa: PLC0415

            from fabgate.drivers.readers.mfrc522 import rpi_gpio  # noqa: PLC0415

            is_emulated = options.chip == "emulated"
            place = options.control_socket, options.bus, options.device
            rpi_gpio.install(open_emulated("MFRC522", *place) if is_emulated else None)
            import mfrc522  # noqa: PLC0415 - it imports RPi.GPIO and spidev: the stand-ins have to be there first
        except ImportError as error:
            raise HardwareError(
                f"{error.name} is not installed: {installed.library(str(error.name), _LIBRARIES)}"
            ) from error
        _check_imports(emulated=is_emulated)
        release_pin = partial(rpi_gpio.pins.cleanup, options.reset_pin)
        try:
            with without_package_log_handler():
                pcd = mfrc522.MFRC522(
                    bus=options.bus,
                    device=options.device,
                    spd=options.speed_hz,
                    pin_mode=rpi_gpio.BCM,
                    pin_rst=options.reset_pin,
                )
        except gpiozero.GPIOZeroError as error:
            raise HardwareError(f"reset pin GPIO{options.reset_pin} cannot be driven: {error}") from error
        return ChipLink(pcd, gain=options.antenna_gain, release_pin=release_pin, sleep=self._sleep)


def _check_imports(*, emulated: bool) -> None:
    """Raise HardwareError if the mfrc522 package was imported earlier, with other GPIO or SPI libraries than wanted."""
    module = sys.modules["mfrc522.MFRC522"]
    if module.GPIO is not sys.modules["RPi.GPIO"]:
        raise HardwareError("mfrc522 was imported before with another RPi.GPIO; import it nowhere else in this process")
    if getattr(module.spidev, "EMULATED", False) is not emulated:
        found, wanted = ("a real", "an emulated") if emulated else ("an emulated", "a real")
        raise HardwareError(f"this process already uses {found} chip; {wanted} one needs a process of its own")

"""Lets the drivers of a process open emulated hardware: in tests, and in the gates of a demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fabgate.drivers import EMULATORS
from fabgate.drivers.emulated import chip_at, spi
from fabgate.drivers.emulated.clock import EMULATED_FILE, EmulatedClock
from fabgate.drivers.emulated.displays.i2c import SocketBus as DisplayBus
from fabgate.drivers.emulated.meters.i2c import SocketBus as MeterBus
from fabgate.drivers.emulated.readers.simulated import bench_of_cards
from fabgate.errors import HardwareError


def provide() -> None:
    """Fill the table from which drivers get emulated hardware. A second call changes nothing."""
    EMULATORS["cards"] = bench_of_cards
    EMULATORS["clock"] = _clock
    EMULATORS["I2C display"] = DisplayBus
    EMULATORS["I2C meter"] = MeterBus
    EMULATORS["MFRC522"] = _mfrc522
    EMULATORS["pins"] = _pins


def _clock(state_dir: Path) -> EmulatedClock:
    return EmulatedClock(state_dir / EMULATED_FILE)


def _mfrc522(control_socket: str, bus: int, device: int) -> Any:
    """Put the emulated chip behind the SPI device and return mock pins for its reset line."""
    from gpiozero.pins.mock import MockFactory  # noqa: PLC0415 - a demo may have no gpiozero

    spi.install(chip_at(control_socket), bus, device)
    return MockFactory()


def _pins(log: Path | None) -> None:
    """Make gpiozero use mock pins, which report their changes to the pipe or file `log`."""
    try:
        from fabgate.drivers.emulated import pins  # noqa: PLC0415 - it imports gpiozero

        pins.install(log)
    except (ImportError, OSError) as error:
        raise HardwareError(f"emulated pins cannot be opened ({type(error).__name__}: {error})") from error

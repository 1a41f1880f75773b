"""Checks what gate.yaml says about pins, buses and packages: everything that two drivers could both want."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

from fabgate import installed as how_installed
from fabgate.errors import UsageError
from fabgate.yaml_reading.yaml_file import Reading, join

#: The sections that name a driver.
KINDS: Final = ("reader", "output", "panel", "meter")
#: GPIO 0 to 8 are pulled up at reset, 14 and 15 are the serial port: a contactor on them closes while the Pi boots.
SAFE_OUTPUT_PINS: Final = frozenset(range(9, 28)) - {14, 15}
#: The pins of an SPI bus: MISO, MOSI, SCLK, and the chip select of each device.
SPI_PINS: Final = {0: ((9, 10, 11), (8, 7)), 1: ((19, 20, 21), (18, 17, 16))}
#: The devices of the Pi's own serial port, and its pins: TXD and RXD.
SERIAL_PORTS: Final = frozenset({"/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"})
SERIAL_PINS: Final = (14, 15)
#: The variable of the environment that says with 1 that the output switches a simulated line or plug, and no machine. The demo
#: and rigs of tests set it; no unit does, and the doctor refuses one that does.
SIMULATED_OUTPUT: Final = "FABGATE_SIMULATED_OUTPUT"
_NO_HARDWARE: Final = (
    "found emulated hardware, wanted real; on emulated hardware, which needs 'demo: true', anyone can tap any badge"
)
_NO_CLOCK: Final = (
    "found emulated, wanted a real clock; an emulated one, which needs 'demo: true', can be set by anyone"
)
#: What else may be on I2C, in words, and the page about it.
_PLACES: Final = {"panel": ("display", "docs/panels/README.md"), "meter": ("meter", "docs/sensing.md")}
#: The pins of an I2C bus, SDA and SCL; other buses have pins that an overlay chooses.
I2C_PINS: Final = {0: (0, 1), 1: (2, 3)}


def kind_of(key: str) -> str:
    """Return the section of a dotted key: ``panel`` for ``panel[1].driver``."""
    return key.partition(".")[0].partition("[")[0]


def installed(kind: str, name: str, driver: Any) -> None:
    """Raise UsageError if a package is missing that the driver imports when it opens (its attribute ``needs``).

    It names the package for pip, or a whole order.
    """
    for module, package in getattr(driver, "needs", {}).items():
        try:
            found = find_spec(module)
        except (ImportError, ValueError):
            found = None
        if found is None:
            todo = how_installed.library(module, package)
            raise UsageError(f"the {kind} driver {name!r} needs the package {module}, which is not installed: {todo}")


def check_hardware(reading: Reading, *, switches: bool) -> None:
    """Check emulated hardware, the pins and the buses; `switches` is whether the output is going to be used."""
    _check_emulated(reading, switches=switches)
    _check_output(reading)
    used_by = _spi(reading) | _i2c(reading)
    for key, port in reading.values.items():
        if kind_of(key) == "reader" and key.endswith(".port") and port in SERIAL_PORTS:
            used_by |= dict.fromkeys(SERIAL_PINS, f"the serial port of {_the(key.rpartition('.')[0])}")
    for key, used in list(reading.values.items()):
        if kind_of(key) in (*KINDS, "inputs") and key.endswith("pin") and isinstance(used, int):
            if used in used_by:
                reading.wrong(key, f"found GPIO {used}, wanted another one; it is used by {used_by[used]} already")
            used_by.setdefault(used, key)


def check_reader_keys(reading: Reading, driver_class: Callable[[str, str], Any]) -> None:
    """Check the file with the key of each reader that has one; the driver says what is a key (its function `read_key`)."""
    for key, file in list(reading.values.items()):
        section, _, name = key.rpartition(".")
        if kind_of(key) != "reader" or name != "key_file" or file is None:
            continue
        if not file.is_file():
            reading.wrong(key, f"found no file {file}, wanted one; relative paths start at the folder of this file")
            continue
        read_key = getattr(driver_class("reader", reading.values[join(section, "driver")]), "read_key", None)
        try:
            if read_key is not None:
                read_key(file)
        except UsageError as error:
            reading.wrong(key, str(error))


def _check_output(reading: Reading) -> None:
    values = reading.values
    for key in ("output.pin", "output.second_pin"):
        pin = values.get(key)
        if pin is not None and pin not in SAFE_OUTPUT_PINS:
            reading.wrong(
                key,
                f"found GPIO {pin}, wanted 9 to 27 except 14 and 15; the others are high while the Pi starts,"
                " and would power the machine",
            )
    second = values.get("output.second_pin")
    if second is not None and values.get("output.readback_pin", ...) is None:
        reading.wrong(
            "output.second_pin",
            f"found {second} without output.readback_pin, wanted both; without it a welded relay is never found, and two"
            " relays are no better than one (docs/outputs)",
        )
    if values.get("output.second_readback_pin") is not None and values.get("output.second_pin", ...) is None:
        reading.wrong(
            "output.second_readback_pin",
            "found it without output.second_pin, wanted both or neither; it is the contact of the second relay",
        )


def _check_emulated(reading: Reading, *, switches: bool) -> None:
    """Check that a gate with anything emulated is a demo, and that it switches nothing."""
    values = reading.values
    sections: dict[str, None] = {}
    for key, value in values.items():
        if kind_of(key) in KINDS and (value == "emulated" or (key.endswith(".driver") and value == "simulated")):
            sections[key.rpartition(".")[0]] = None
    if values.get("clock.source") == "emulated":
        sections["clock.source"] = None
    if values.get("demo") is True:
        if switches:
            _check_switches_nothing(reading, [*sections])
    elif values.get("demo") is False:
        for section in sections:
            reading.wrong(section, _NO_CLOCK if section == "clock.source" else _NO_HARDWARE)


def _check_switches_nothing(reading: Reading, emulated: list[str]) -> None:
    """Refuse an output that can power a machine where anything else is `emulated`; one of another package can, too."""
    driver = reading.values.get("output.driver")
    if not emulated or "output" in emulated or driver in (None, "memory") or os.environ.get(SIMULATED_OUTPUT) == "1":
        return
    reading.wrong(
        "output",
        f"found the real output {driver} next to emulated hardware ({', '.join(emulated)}), wanted one that switches nothing:"
        " anyone on this computer could power the machine. Write output: {driver: memory}, or take real hardware"
        " everywhere and leave out 'demo: true'",
    )


def _spi(reading: Reading) -> dict[int, str]:
    """Return the pins that readers on an SPI bus, and pixels on another one, use; check that nothing shares a bus with pixels.

    Pixels have no chip select: they would show each byte for the reader.
    """
    values = reading.values
    used: dict[int, str] = {}
    buses: dict[int, str] = {}
    readers_first = sorted(values.items(), key=lambda item: kind_of(item[0]) != "reader")
    for key, bus in readers_first:
        section, _, name = key.rpartition(".")
        device = values.get(join(section, "spi_device" if name == "spi_bus" else "device"))
        if name not in ("spi_bus", "bus") or not isinstance(bus, int) or not isinstance(device, int):
            continue
        if bus in buses and "panel" in (kind_of(section), kind_of(buses[bus])):
            reading.wrong(
                key,
                f"found SPI bus {bus}, wanted another one than that of {_the(buses[bus])}: pixels have no chip select, and would"
                " show each byte of it. Take bus 1, with dtoverlay=spi1-1cs in config.txt (docs/panels/README.md)",
            )
        buses.setdefault(bus, section)
        if bus in SPI_PINS:
            lines, selects = SPI_PINS[bus]
            used |= dict.fromkeys((*lines, *selects[device : device + 1]), f"SPI bus {bus} of {_the(section)}")
    return used


def _the(section: str) -> str:
    return "the reader" if section == "reader" else section


def _i2c(reading: Reading) -> dict[int, str]:
    """Return the pins of the I2C buses in use; check that readers have their own, and that no two devices share an address.

    A display holds the bus for up to a tenth of a second, and a device that hangs may hold it for good: no badge would
    be read meanwhile.
    """
    values = reading.values
    used: dict[int, str] = {}
    addresses: dict[tuple[int, Any], str] = {}
    readers = {bus for key, bus in values.items() if kind_of(key) == "reader" and key.endswith(".i2c_bus")}
    for key, bus in list(values.items()):
        if not key.endswith(".i2c_bus") or not isinstance(bus, int):
            continue
        section = key.rpartition(".")[0]
        used |= dict.fromkeys(I2C_PINS.get(bus, ()), f"I2C bus {bus} of {section}")
        what, page = _PLACES.get(kind_of(key), ("", ""))
        if what and bus in readers:
            reading.wrong(
                key,
                f"found I2C bus {bus}, wanted another one than the reader's: a {what} that hangs would stop the reader."
                f" Put the {what} on a bus of its own ({page})",
            )
        # Without an address it is that of the driver, which only the driver knows.
        address = values.get(join(section, "address"))
        place = values.get(join(section, "driver")) if address is None else f"{address:#04x}"
        other = addresses.setdefault((bus, place), section)
        if other != section:
            reading.wrong(
                join(section, "address"),
                f"found {'no address' if address is None else place} on I2C bus {bus}, wanted another one; {other} has the"
                " same already",
            )
    return used

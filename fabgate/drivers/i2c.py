"""An I2C bus of this computer, and errors in the words of a person with a screwdriver."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from fabgate import installed
from fabgate.drivers import open_emulated
from fabgate.errors import HardwareError

#: Addresses 0x00 to 0x07 and 0x78 to 0x7f are reserved (NXP UM10204, 3.1.12).
Address = Annotated[int, msgspec.Meta(ge=0x08, le=0x77, description="an I2C address from 8 (0x08) to 119 (0x77)")]
BusNumber = Annotated[int, msgspec.Meta(ge=0, le=22)]


class I2cOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the options of displays and meters on I2C share. `i2c_bus` is not the reader's.

    `chip: emulated` is for demos: the bytes go to a UNIX socket, at which there is a chip in software.
    """

    i2c_bus: BusNumber = 1
    address: Address | None = None
    chip: Literal["real", "emulated"] = "real"
    i2c_socket: str | None = None

    def __post_init__(self) -> None:
        if self.chip == "emulated" and not self.i2c_socket:
            raise ValueError("found chip: emulated without i2c_socket, wanted the path of its socket")


def connect(options: I2cOptions, open_bus: Callable[[int], Any], *, emulated: str = "I2C display") -> Any:
    """Return what `open_bus` returns, or the bus of an emulated chip. Raises OSError, and HardwareError as ``open_emulated``."""
    if options.chip == "real":
        return open_bus(options.i2c_bus)
    return open_emulated(emulated, options.i2c_socket)


def open_bus(number: int) -> Any:
    """Return the bus ``/dev/i2c-<number>``. Raises OSError."""
    from smbus2 import SMBus  # noqa: PLC0415 - a gate with neither a display nor a meter has no such package

    return SMBus(number)


def failure(error: OSError, what: str, number: int, address: int) -> HardwareError:
    """Return what an error of a bus or of a device on it means; a HardwareError says it already."""
    if isinstance(error, HardwareError):
        return HardwareError(str(error))
    if error.errno in (errno.ENOENT, errno.ENODEV):
        text = f"this computer has no I2C bus {number}. Switch it on: dtparam=i2c_arm=on in config.txt, then restart"
    elif error.errno in (errno.EACCES, errno.EPERM):
        text = f"this account has no right to open I2C bus {number}. Add this user to the group i2c; the service needs {installed.file('20-fabgate-i2c.conf')}"
    else:
        text = (
            f"nothing answers at {address:#04x} on I2C bus {number} ({error.strerror or error}). Check its four wires, and"
            f" the address with 'i2cdetect -y {number}'"
        )
    return HardwareError(f"{what}: {text}")

"""An I2C bus of this computer, and errors in the words of a person with a screwdriver."""

from __future__ import annotations

import errno
from typing import Annotated, Any

import msgspec

from fabgate.errors import HardwareError

#: Addresses 0x00 to 0x07 and 0x78 to 0x7f are reserved (NXP UM10204, 3.1.12).
Address = Annotated[int, msgspec.Meta(ge=0x08, le=0x77, description="an I2C address from 8 (0x08) to 119 (0x77)")]
BusNumber = Annotated[int, msgspec.Meta(ge=0, le=22)]


def open_bus(number: int) -> Any:
    """Return the bus ``/dev/i2c-<number>``. Raises OSError."""
    from smbus2 import SMBus  # noqa: PLC0415 - a gate without a display has no such package

    return SMBus(number)


def failure(error: OSError, what: str, number: int, address: int) -> HardwareError:
    """Return what an error of a bus or of a device on it means."""
    if error.errno in (errno.ENOENT, errno.ENODEV):
        text = f"this computer has no I2C bus {number}. Switch it on: dtparam=i2c_arm=on in config.txt, then restart"
    elif error.errno in (errno.EACCES, errno.EPERM):
        text = f"I2C bus {number} may not be opened. Add this user to the group i2c; the service needs systemd/20-fabgate-i2c.conf"
    else:
        text = (
            f"nothing answers at {address:#04x} on I2C bus {number} ({error.strerror or error}). Check its four wires, and"
            f" the address with 'i2cdetect -y {number}'"
        )
    return HardwareError(f"{what}: {text}")

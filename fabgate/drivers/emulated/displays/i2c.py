"""An I2C bus in software with the methods of smbus2 that displays use, and chips that can be unplugged."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Protocol


class Chip(Protocol):
    """Something that takes bytes from the bus."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one transfer, without the address."""


class EmulatedBus:
    """One bus. Chips are attached to it by address; `writes` counts transfers, `taken` bytes."""

    def __init__(self) -> None:
        self.chips: dict[int, Chip] = {}
        self.writes = 0
        self.taken = 0
        self.is_closed = False

    def write_byte(self, address: int, value: int) -> None:
        """Send one byte. Raises OSError, like the others, if nothing has this address."""
        self._write(address, bytes((value,)))

    def write_byte_data(self, address: int, register: int, value: int) -> None:
        """Send a register and one byte."""
        self._write(address, bytes((register, value)))

    def write_i2c_block_data(self, address: int, register: int, data: Sequence[int]) -> None:
        """Send a register and up to 32 bytes."""
        if len(data) > 32:
            raise OSError(errno.EINVAL, f"found a block of {len(data)} bytes, wanted 32 or fewer")
        self._write(address, bytes((register, *data)))

    def close(self) -> None:
        """Close the bus; it can be used again."""
        self.is_closed = True

    def _write(self, address: int, data: bytes) -> None:
        if address not in self.chips:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        self.writes += 1
        self.taken += len(data)
        self.chips[address].write(data)

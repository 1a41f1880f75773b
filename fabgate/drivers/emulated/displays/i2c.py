"""An I2C bus in software with the methods of smbus2 that displays use, and chips that can be unplugged.

The chips are in this process (``EmulatedBus``), or in another one: then each transfer is one datagram to a UNIX socket, the
address and then the bytes (``SocketBus``), and ``Board`` is the other end. A board that is away is an unplugged display.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

#: How long a transfer waits for a board that takes nothing.
_HANG_S: Final = 0.5
#: The address, a register and a block of 32 bytes.
_LONGEST: Final = 34


class Chip(Protocol):
    """Something that takes bytes from the bus."""

    def write(self, data: bytes) -> None:
        """Take the bytes of one transfer, without the address."""


class _Bus:
    """What displays call."""

    def write_byte(self, address: int, value: int) -> None:
        """Send one byte. Raises OSError, like the others, if nothing has this address."""
        self.transfer(address, bytes((value,)))

    def write_byte_data(self, address: int, register: int, value: int) -> None:
        """Send a register and one byte."""
        self.transfer(address, bytes((register, value)))

    def write_i2c_block_data(self, address: int, register: int, data: Sequence[int]) -> None:
        """Send a register and up to 32 bytes."""
        if len(data) > 32:
            raise OSError(errno.EINVAL, f"found a block of {len(data)} bytes, wanted 32 or fewer")
        self.transfer(address, bytes((register, *data)))

    def transfer(self, address: int, data: bytes) -> None:
        """Send one transfer."""
        raise NotImplementedError


class EmulatedBus(_Bus):
    """One bus. Chips are attached to it by address; `writes` counts transfers, `taken` bytes."""

    def __init__(self) -> None:
        self.chips: dict[int, Chip] = {}
        self.writes = 0
        self.taken = 0
        self.is_closed = False

    def close(self) -> None:
        """Close the bus; it can be used again."""
        self.is_closed = True

    def transfer(self, address: int, data: bytes) -> None:
        """Send one transfer."""
        if address not in self.chips:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        self.writes += 1
        self.taken += len(data)
        self.chips[address].write(data)


class SocketBus(_Bus):
    """A bus whose chips are behind the UNIX socket at `path`. Raises OSError, like each transfer, without a ``Board`` there."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_HANG_S)
        try:
            self._socket.connect(path)
        except OSError as error:
            self.close()
            raise OSError(errno.EREMOTEIO, f"no emulated display at {path}") from error

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def transfer(self, address: int, data: bytes) -> None:
        """Send one transfer."""
        try:
            self._socket.send(bytes((address, *data)))
        except OSError as error:
            raise OSError(errno.EREMOTEIO, "Remote I/O error") from error


class Board:
    """The chips of a ``SocketBus``: a thread of its own serves the socket at `path` until ``close``.

    Hold `lock` to see a chip between two transfers. What is sent to an address without a chip is lost.
    """

    def __init__(self, path: Path, bus: EmulatedBus) -> None:
        self.bus = bus
        self.lock = threading.Lock()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        os.fchmod(self._socket.fileno(), 0o600)  # Linux gives the file this mode
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._serve, name=f"board-{path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Unplug the display. A second call does nothing."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while data := self._socket.recv(_LONGEST):
            with self.lock, contextlib.suppress(OSError):
                self.bus.transfer(data[0], data[1:])

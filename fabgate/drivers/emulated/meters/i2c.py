"""An I2C bus in software with the methods of smbus2 that meters use: unlike that of displays, it answers.

The chips are in this process (``EmulatedBus``), or in another one (``SocketBus``): then each transfer is one message to a
UNIX socket of the kind SOCK_SEQPACKET: the address, how many bytes are read, and the bytes written. The answer is 0 and the
bytes read, or 1 if nothing has this address. ``Board`` is the other end; a board that is away is an unplugged chip.
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

#: How long a transfer waits for a board that does not answer; a bus of Linux gives up after a second.
_HANG_S: Final = 1.0
#: The address, the number of bytes to read, a register and a block of 32 bytes.
_LONGEST: Final = 35


class Chip(Protocol):
    """Something with registers on the bus."""

    def transfer(self, written: bytes, reads: int) -> bytes:
        """Take the bytes of one transfer, without the address, and return as many as are read."""


class _Bus:
    """What meters call."""

    def write_i2c_block_data(self, address: int, register: int, data: Sequence[int]) -> None:
        """Send a register and up to 32 bytes. Raises OSError, like the other, if nothing has this address."""
        self.transfer(address, bytes((register, *data)), 0)

    def read_i2c_block_data(self, address: int, register: int, length: int) -> list[int]:
        """Send a register, and read up to 32 bytes."""
        return list(self.transfer(address, bytes((register,)), length))

    def transfer(self, address: int, written: bytes, reads: int) -> bytes:
        """Do one transfer."""
        raise NotImplementedError


class EmulatedBus(_Bus):
    """One bus. Chips are attached to it by address; `transfers` counts."""

    def __init__(self) -> None:
        self.chips: dict[int, Chip] = {}
        self.transfers = 0

    def close(self) -> None:
        """Close the bus; it can be used again."""

    def transfer(self, address: int, written: bytes, reads: int) -> bytes:
        """Do one transfer."""
        self.transfers += 1
        if address not in self.chips:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        return self.chips[address].transfer(written, reads)


class SocketBus(_Bus):
    """A bus whose chips are behind the UNIX socket at `path`. Raises OSError, like each transfer, without a ``Board`` there."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_HANG_S)
        try:
            self._socket.connect(path)
        except OSError as error:
            self.close()
            raise OSError(errno.EREMOTEIO, f"no emulated chip at {path}") from error

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def transfer(self, address: int, written: bytes, reads: int) -> bytes:
        """Do one transfer."""
        try:
            self._socket.send(bytes((address, reads, *written)))
            answer = self._socket.recv(_LONGEST)
        except OSError as error:
            raise OSError(errno.EREMOTEIO, "Remote I/O error") from error
        if len(answer) != 1 + reads or answer[0] != 0:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        return answer[1:]


class Board:
    """The chips of a ``SocketBus``: a thread of its own serves one gate after the other until ``close``."""

    def __init__(self, path: Path, bus: EmulatedBus) -> None:
        self._bus = bus
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.fchmod(self._listener.fileno(), 0o600)  # Linux gives the file this mode
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, name=f"board-{path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Unplug the chips. A second call does nothing."""
        for end in (self._listener, self._client):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                with self._client, contextlib.suppress(OSError):
                    while message := self._client.recv(_LONGEST):
                        self._client.send(self._answer(message))

    def _answer(self, message: bytes) -> bytes:
        try:
            return b"\0" + self._bus.transfer(message[0], message[2:], message[1])
        except (OSError, IndexError):
            return b"\1"

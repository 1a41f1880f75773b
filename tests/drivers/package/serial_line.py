"""A badge reader on a serial line: it sends one line for each card, such as ``04A1B2C3*D4``.

The line is the UID in hex, ``*``, and the XOR of its bytes as two hex digits. The reader says nothing when the card
leaves, so it cannot prove that a card stays.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
from functools import reduce
from operator import xor
from typing import Final, Literal

import msgspec

from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import HardwareError

_SPEEDS: Final = {9600: termios.B9600, 19200: termios.B19200, 115200: termios.B115200}
#: How long the rest of a line may take, in seconds. The slowest speed needs 25 ms for the longest one.
_REST_OF_LINE_S: Final = 0.05
_LONGEST_LINE: Final = 64
_UID_LENGTHS: Final = (4, 7, 10)


class SerialLineOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section ``reader`` of gate.yaml: the device, and its speed in bits per second."""

    port: str = "/dev/ttyUSB0"
    speed_bps: Literal[9600, 19200, 115200] = 9600


class SerialLineReader:
    """Keeps the contract of ``fabgate.drivers.readers``."""

    Options = SerialLineOptions
    continuous = False
    recoveries = 0

    def __init__(self, options: SerialLineOptions) -> None:
        self._options = options
        self._fd = -1
        self._received = b""

    def open(self) -> None:
        """Claim the device, and forget what it sent before. Raises HardwareError."""
        self.close()
        try:
            self._fd = os.open(self._options.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            self._configure()
        except (OSError, termios.error) as error:
            self.close()
            raise HardwareError(
                f"the reader at {self._options.port} cannot be opened ({error}); is it plugged in?"
            ) from error

    def poll(self) -> Card | Misread | None:
        """Return the card of the next line, or None where no line has come. Raises HardwareError."""
        line = self._line()
        if not line:
            return None
        uid = _checked(line)
        if uid is None:
            return Misread(MisreadReason.TORN)
        if len(uid) == 4 and uid[0] == 0x08:
            return Misread(MisreadReason.RANDOM_UID)
        return Card(uid)

    def close(self) -> None:
        """Let go of the device."""
        fd, self._fd, self._received = self._fd, -1, b""
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _configure(self) -> None:
        speed = _SPEEDS[self._options.speed_bps]
        flags: list[object] = [termios.IGNPAR, 0, termios.CS8 | termios.CREAD | termios.CLOCAL, 0, speed, speed]
        control = [b"\0"] * len(termios.tcgetattr(self._fd)[6])
        control[termios.VMIN] = b"\1"  # or a read without data would look like an unplugged device
        termios.tcsetattr(self._fd, termios.TCSANOW, [*flags, control])
        termios.tcflush(self._fd, termios.TCIFLUSH)

    def _line(self) -> bytes:
        """Return the next line without its end; a line that does not end in time as it is; empty for none."""
        if self._fd < 0:
            raise HardwareError(f"the reader at {self._options.port} is not open")
        self._read()
        if self._received and b"\n" not in self._received and len(self._received) < _LONGEST_LINE:
            select.select([self._fd], [], [], _REST_OF_LINE_S)
            self._read()
        line, _, self._received = self._received.partition(b"\n")
        return line.strip()

    def _read(self) -> None:
        try:
            received = os.read(self._fd, 256)
        except BlockingIOError:
            return
        except OSError as error:
            raise HardwareError(f"the reader at {self._options.port} does not answer ({error})") from error
        if not received:
            raise HardwareError(f"the reader at {self._options.port} was unplugged")
        self._received += received


def _checked(line: bytes) -> bytes | None:
    """Return the UID of a line; None where the line is not whole."""
    digits, _, check = line.partition(b"*")
    try:
        uid, sent = bytes.fromhex(digits.decode("ascii")), bytes.fromhex(check.decode("ascii"))
    except ValueError:
        return None
    return uid if len(uid) in _UID_LENGTHS and sent == bytes([reduce(xor, uid)]) else None

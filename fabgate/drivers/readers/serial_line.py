"""Opens serial lines for readers: 8 data bits, no parity, 1 stop bit, no flow control, for this program alone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import termios
from typing import Annotated, Final, Literal, Self

import msgspec

from fabgate import installed
from fabgate.errors import HardwareError

Speed = Literal[9600, 19200, 38400, 57600, 115200]
Port = Annotated[str, msgspec.Meta(pattern="^/.", description="a path that starts with /")]
_SPEEDS: Final = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}
#: struct serial_struct of linux/serial.h begins with four ints and the flags; ASYNC_LOW_LATENCY is bit 13 of
#: linux/tty_flags.h.
_FLAGS_AT: Final = 16
_LOW_LATENCY: Final = 1 << 13
#: A read takes what has come, up to this many bytes.
_MOST: Final = 4096


class SerialLine:
    """An open line. `name` names the device in errors; every method but `close` raises HardwareError when it is gone."""

    def __init__(self, fd: int, name: str) -> None:
        self.fd = fd
        self._name = name

    @classmethod
    def at(cls, path: str, speed_bps: int, name: str, *, shortest_answer: int = 0) -> Self:
        """Open the device at `path`, and forget what it sent before. Raises HardwareError.

        With `shortest_answer` the line can be written to, and `read` waits until that many bytes have come, which saves
        wake-ups. The driver of the port then passes answers on at once, if it can.
        """
        fd = -1
        try:
            fd = os.open(path, (os.O_RDWR if shortest_answer else os.O_RDONLY) | os.O_NOCTTY | os.O_NONBLOCK)
            _configure(fd, speed_bps, shortest_answer or 1)
        except PermissionError as error:
            _close(fd)
            raise HardwareError(
                f"this account has no right to open {name}. Add this user to the group dialout; the service needs"
                f" {installed.file('20-fabgate-serial.conf')} (docs/readers/README.md)"
            ) from error
        except (OSError, termios.error) as error:
            _close(fd)
            raise HardwareError(
                f"{name} cannot be opened ({error.args[-1]}). Is it plugged in, and the serial port switched on?"
                " (docs/readers/README.md)"
            ) from error
        if shortest_answer:
            _hurry(fd)
        return cls(fd, name)

    def read(self, wait_s: float = 0.0) -> bytes:
        """Return what has come; before, wait up to `wait_s` seconds for the first byte or the shortest answer."""
        try:
            if wait_s > 0:
                waiting = select.poll()  # not select(), which cannot handle file descriptors above 1,023
                waiting.register(self.fd, select.POLLIN)
                waiting.poll(wait_s * 1000)
            received = os.read(self.fd, _MOST)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise HardwareError(f"{self._name} does not answer ({error.args[-1]}). Check its plug") from error
        if not received:
            raise HardwareError(f"{self._name} was unplugged")
        return received

    def write(self, data: bytes) -> None:
        """Forget what has come, because it answers nothing, and send `data`, which fits the buffer of any line."""
        try:
            termios.tcflush(self.fd, termios.TCIFLUSH)
            sent = os.write(self.fd, data)
        except (OSError, termios.error) as error:
            raise HardwareError(f"{self._name} does not answer ({error.args[-1]}). Check its plug") from error
        if sent != len(data):
            raise HardwareError(f"{self._name} accepts no more data. Check its plug")

    def close(self) -> None:
        """Release the device. Never raises."""
        fd, self.fd = self.fd, -1
        _close(fd)


def _configure(fd: int, speed_bps: int, shortest: int) -> None:
    fcntl.ioctl(fd, termios.TIOCEXCL)  # no login on the same line
    speed = _SPEEDS[speed_bps]
    control: list[bytes | int] = [b"\0"] * len(termios.tcgetattr(fd)[6])
    control[termios.VMIN] = bytes((shortest,))  # with 0 a line without data would look unplugged
    flags = termios.CS8 | termios.CREAD | termios.CLOCAL
    attributes: list[int | list[bytes | int]] = [termios.IGNPAR, 0, flags, 0, speed, speed, control]
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    termios.tcflush(fd, termios.TCIFLUSH)


def _hurry(fd: int) -> None:
    """Let a USB adapter pass on each answer at once: those of FTDI wait up to 16 ms for more bytes.

    Lines that know no such setting refuse it.
    """
    settings = bytearray(128)
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCGSERIAL, settings)
        (flags,) = struct.unpack_from("=i", settings, _FLAGS_AT)
        struct.pack_into("=i", settings, _FLAGS_AT, flags | _LOW_LATENCY)
        fcntl.ioctl(fd, termios.TIOCSSERIAL, settings)


def _close(fd: int) -> None:
    if fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)

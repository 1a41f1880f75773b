"""The serial line to OSDP readers: RS-485 through an adapter that turns its direction by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import termios
from typing import Final

from fabgate.errors import HardwareError

SPEEDS: Final = {
    9600: termios.B9600,
    19200: termios.B19200,
    38400: termios.B38400,
    57600: termios.B57600,
    115200: termios.B115200,
}


class SerialLine:
    """A serial line, 8N1. Raises HardwareError when it cannot be opened, and when it vanishes."""

    def __init__(self, port: str, speed_bps: int) -> None:
        self._port = port
        self._fd = -1
        try:
            self._fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            self._configure(SPEEDS[speed_bps])
        except PermissionError as error:
            self.close()
            raise HardwareError(
                f"{port} may not be opened. Add this user to the group dialout; the service needs"
                " systemd/20-fabgate-serial.conf (docs/readers/README.md)"
            ) from error
        except (OSError, termios.error) as error:
            self.close()
            raise HardwareError(
                f"{port} cannot be opened ({error.args[-1]}). Is the adapter plugged in, and the serial port switched on?"
                " (docs/readers/README.md)"
            ) from error

    def write(self, data: bytes) -> None:
        """Send bytes, and forget what came before: it answers nothing."""
        try:
            termios.tcflush(self._fd, termios.TCIFLUSH)
            os.write(self._fd, data)
        except (OSError, termios.error) as error:
            raise HardwareError(f"{self._port} does not answer ({error.args[-1]}). Check its plug") from error

    def read(self, wait_s: float) -> bytes:
        """Return what came; wait for it up to `wait_s` seconds, then return nothing."""
        if not select.select([self._fd], [], [], max(0.0, wait_s))[0]:
            return b""
        try:
            received = os.read(self._fd, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise HardwareError(f"{self._port} does not answer ({error.args[-1]}). Check its plug") from error
        if not received:
            raise HardwareError(f"{self._port} was unplugged")
        return received

    def close(self) -> None:
        """Release the line."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _configure(self, speed: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCEXCL)  # no login on the same line
        control: list[bytes | int] = [b"\0"] * len(termios.tcgetattr(self._fd)[6])
        control[termios.VMIN] = b"\1"  # otherwise a line without data would look unplugged
        flags = termios.CS8 | termios.CREAD | termios.CLOCAL
        attributes: list[int | list[bytes | int]] = [termios.IGNPAR, 0, flags, 0, speed, speed, control]
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)
        termios.tcflush(self._fd, termios.TCIOFLUSH)

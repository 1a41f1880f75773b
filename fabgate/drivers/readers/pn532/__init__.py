"""The driver of PN532 boards on a serial line (HSU): 13.56 MHz cards by their whole UID.

It selects cards frame by frame, as the driver of the RC522 does, so every check of ISO/IEC 14443-3 is made here: ``chip``
says why. A PN532 needs no library, can be a metre away from the Pi, and is also sold with a USB plug.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from fabgate.drivers.readers import Card, Misread
from fabgate.drivers.readers.pn532.chip import SHORTEST, ChipLink
from fabgate.drivers.readers.radio import Poller, UpsetError
from fabgate.drivers.readers.serial_line import Port, SerialLine
from fabgate.errors import HardwareError

#: The speed of the HSU after power-on (UM0701-02, section 6.3.2); nothing changes it.
SPEED_BPS = 115200


class Pn532Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: the serial device."""

    port: Port = "/dev/serial0"


class Pn532Reader:
    """A PN532 as fabgate's Reader. `sleep` takes seconds and is replaced by tests only."""

    Options = Pn532Options
    continuous = True

    def __init__(self, options: Pn532Options, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.recoveries = 0
        self._options = options
        self._sleep = sleep
        self._link: ChipLink | None = None
        self._poller = Poller(self._where)

    def open(self) -> None:
        """Claim the line, wake and configure the chip. Raises HardwareError."""
        self.close()
        line = SerialLine.at(self._options.port, SPEED_BPS, self._where, shortest_answer=SHORTEST)
        self._link = ChipLink(line, self._where, sleep=self._sleep)
        try:
            self._link.configure()
        except HardwareError:
            self.close()
            raise

    def poll(self) -> Card | Misread | None:
        """Poll once, for about 10 ms, or 50 ms with a card. Raises HardwareError when the chip is gone."""
        if self._link is None:
            raise HardwareError(f"{self._where} is not open: open() it before poll()")
        try:
            return self._poller.poll(self._link)
        finally:
            self.recoveries = self._poller.recoveries

    def close(self) -> None:
        """Release the line."""
        link, self._link = self._link, None
        self._poller.forget()
        if link is not None:
            link.close()

    @property
    def identity(self) -> str:
        """Return the firmware of the open chip, for the doctor. Raises HardwareError when it is gone."""
        if self._link is None:
            return ""
        try:
            return f"{self._where}: {self._link.version()}"
        except UpsetError as error:
            raise HardwareError(f"{self._where} does not answer ({error})") from error

    @property
    def _where(self) -> str:
        return f"the PN532 at {self._options.port}"

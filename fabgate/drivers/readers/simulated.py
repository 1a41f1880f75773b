"""A reader without a device, on which cards are placed through a socket.

It keeps the Reader contract and has the control socket of the emulated chip, but no chip, SPI or libraries: the
quickest reader for tests, for a demo on any computer, and for a load test of a hundred gates.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fabgate.drivers import open_emulated
from fabgate.drivers.readers import Card, Misread
from fabgate.errors import HardwareError


class SimulatedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reader's section of gate.yaml: the path of the socket through which cards are placed."""

    control_socket: str


class SimulatedReader:
    """A Reader without a device."""

    Options = SimulatedOptions
    continuous = True

    def __init__(self, options: SimulatedOptions) -> None:
        self.recoveries = 0
        self._options = options
        self._bench: Any = None

    def open(self) -> None:
        """Open the socket, or find it again after ``close``. Raises HardwareError when unplugged."""
        bench = open_emulated("cards", self._options.control_socket)
        bench.check()
        self._bench = bench

    def poll(self) -> Card | Misread | None:
        """Poll once. Raises HardwareError when unplugged."""
        if self._bench is None:
            raise HardwareError("the simulated reader is not open: open() it before poll()")
        found: Card | Misread | None
        found, upsets = self._bench.look()
        self.recoveries += upsets
        return found

    def close(self) -> None:
        """Stop polling; the bench and its socket stay, as hardware does."""
        self._bench = None

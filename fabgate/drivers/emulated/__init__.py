"""Emulated hardware below the real libraries: an MFRC522 chip with cards.

``chip`` is the chip, ``field`` and ``cards`` are the cards on its antenna, ``spi`` is the ``spidev`` through which the
real ``mfrc522`` package drives it, and ``control`` the socket through which cards are placed. It is for demo and tests;
none of it runs together with a real chip.
"""

from __future__ import annotations

from fabgate.drivers.emulated.cards import RANDOM_FIRST_BYTE, Card
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import bench_at
from fabgate.errors import HardwareError


class ChipBench:
    """An emulated chip, as the control socket uses it: cards by UID, the ribbon cable, the supply."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip

    @property
    def empty_polls(self) -> int | None:
        """How many polls in a row have found the field empty; None while a card is there."""
        return self.chip.empty_polls

    def place(self, uid: bytes, *, torn: int | None) -> None:
        """Place a card; a single-size UID that starts with 08 becomes a card with random UIDs. Raises UsageError."""
        if len(uid) == 4 and uid[0] == RANDOM_FIRST_BYTE:
            self.chip.place(Card.random(uid, torn_after=torn))
        else:
            self.chip.place(Card(uid, torn_after=torn))

    def remove(self, uid: bytes | None) -> None:
        """Remove the card, or all cards. Raises UsageError when it is not there."""
        self.chip.remove(uid)

    def unplug(self) -> None:
        """Pull out the ribbon cable."""
        self.chip.unplug()

    def plug(self) -> None:
        """Plug the ribbon cable in again."""
        self.chip.plug()

    def brown_out(self) -> None:
        """Let the supply voltage dip."""
        self.chip.brown_out()


def chip_at(control_socket: str) -> Chip:
    """Return the emulated chip of this process behind `control_socket`; the first call makes both."""
    bench = bench_at(control_socket, lambda: ChipBench(Chip(rf_time=True)))
    if not isinstance(bench, ChipBench):
        raise HardwareError(f"{control_socket} belongs to a simulated reader: choose another path")
    return bench.chip

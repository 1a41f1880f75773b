"""What must a badge reader do? The Reader contract.

A reader MUST:

* do nothing in its constructor but keep its options; ``open`` claims the device and may be called again after
  ``close`` or after a fault (the gate re-opens with growing pauses);
* return from ``poll`` within about 100 ms, whether or not a card is there;
* return a ``Card`` only when its whole UID was read and every check that the protocol has (BCC, CRC, cascade bits)
  agreed; anything else is a ``Misread`` or ``None``. Never a guess;
* return ``None`` only when it looked and no card answered. A card that answered incompletely, or together with another,
  is a ``Misread``; a poll that could not look raises. The gate takes a card for tapped only after it saw the field
  empty: polls that find nothing for 0.6 s without a break (``fabgate.rules.presence``). A reader that says ``None``
  over a card that lies there would turn that card into a tap;
* raise ``HardwareError`` from ``open`` or ``poll`` when the device is gone, so that "unplugged" never looks like
  "no card";
* set ``continuous`` to whether a card that stays is seen by every poll (only then can it prove presence).

A reader MAY recover by itself from a transient upset (a brown-out that reset the chip) and then count it in
``recoveries``, an int, in the same poll. The gate then takes no card for tapped until it has seen the field empty again.

A reader MUST never block for ever and never start threads of its own. ``fabgate.testing.readers`` tests all this, for any
reader.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, runtime_checkable

import msgspec


class MisreadReason(StrEnum):
    """Why a card in the field did not become a badge."""

    TWO_CARDS = "two-cards"
    TORN = "torn"  # answered, but not completely or not consistently: pulled away, tilted, disturbed
    RANDOM_UID = "random-uid"  # ISO/IEC 14443-3: a single-size UID starting 08 is made anew each time


class Card(msgspec.Struct, frozen=True):
    """A card that was read completely. `uid` is 4, 7 or 10 bytes in ISO 14443-3 order, without cascade tags and BCC."""

    uid: bytes


class Misread(msgspec.Struct, frozen=True):
    """A card is there, and it is not known which."""

    reason: MisreadReason


@runtime_checkable
class Reader(Protocol):
    """A device that says which card lies on it now."""

    continuous: bool
    recoveries: int

    def open(self) -> None:
        """Claim and configure the device. Raises HardwareError."""

    def poll(self) -> Card | Misread | None:
        """Look once. Returns None when no card is there. Raises HardwareError when the device is gone."""

    def close(self) -> None:
        """Let go of the device. Never raises."""

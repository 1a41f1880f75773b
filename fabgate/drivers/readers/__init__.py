"""The contract of badge readers.

A reader MUST:

* store its options in the constructor and do nothing else; ``open`` claims the device and may be called again after ``close`` or after
  a fault (the gate opens it again with growing pauses);
* return from ``poll`` within about 100 ms, whether or not a card is there;
* return a ``Card`` only when its whole UID was read and all checks of the protocol (BCC, CRC, cascade bits, checksum,
  parity) agreed; otherwise a ``Misread`` or ``None``, never a guess;
* return ``None`` only when it has polled and no card answered. A card that answered incompletely, or together with
  another one, is a ``Misread``; a poll that failed raises; one that is not over (an answer or the rest of a frame is still to
  come) is ``PENDING``, and what the next poll finds was true when this one began. The gate counts a card as tapped only after
  the field was empty: polls without a card for 0.6 s (``fabgate.rules.presence``). A reader that returns ``None`` although
  a card is on it would turn that card into a tap;
* raise ``HardwareError`` from ``open`` or ``poll`` when the device is gone, so that "unplugged" never looks like
  "no card";
* set ``continuous`` to whether every poll sees a card that stays (only then can the reader prove presence).

A reader MAY recover from a transient failure (a brown-out that resets the chip). It then adds one to ``recoveries``, an
int, in the same poll. The gate then counts no card as tapped until the field was empty again.

A reader that only sends sets ``continuous`` to False, and returns each frame once, in the poll in which it ended. The gate
alone counts the silence after it. Two attributes MAY say how long the reader is silent although a card is on it:
``gone_after_ms`` between two repetitions of that card (0 without it), and ``start_up_ms`` after ``open``, because its supply
may just have returned (``START_UP_MS`` without it). It sets ``supervised`` to False if its silence cannot tell that it was
unplugged. Its line may still vanish, which raises.

A reader MAY have a property ``identity``: while it is open, a text for ``fabgate doctor`` that names the device.

A reader with a secret in the file of its option `key_file` MAY have a static function `read_key`, which raises UsageError for
a wrong or unsafe file; ``fabgate check`` calls it.

A reader MUST never block for ever and never start threads of its own. ``fabgate.testing.readers`` tests all this for any
reader.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import msgspec

from fabgate.badge import Badge, Kind


class MisreadReason(StrEnum):
    """Why a card in the field did not become a badge."""

    TWO_CARDS = "two-cards"
    TORN = "torn"  # answered, but not completely or not consistently: pulled away, tilted, disturbed
    RANDOM_UID = "random-uid"  # ISO/IEC 14443-3: a single-size UID that starts with 08 is a new one each time


class Card(msgspec.Struct, frozen=True):
    """A badge that was read completely. `uid` has the canonical bytes of its kind (``fabgate.badge.kinds``).

    Of an ISO 14443 card, which it is unless `kind` says otherwise, these are 4, 7 or 10 bytes as the card sends them,
    without cascade tags and BCC.
    """

    uid: bytes
    kind: Kind = Kind.ISO14443A

    @classmethod
    def of(cls, badge: Badge) -> Card:
        """Return the card of a badge."""
        return cls(badge.raw, badge.kind)

    @property
    def badge(self) -> Badge:
        """Return its badge. Raises UsageError for bytes that its kind does not have."""
        return Badge(self.kind, self.uid)


class Misread(msgspec.Struct, frozen=True):
    """A card is there, but its UID is unknown."""

    reason: MisreadReason


class Pending(msgspec.Struct, frozen=True):
    """A poll that is not over. It proves neither that a card is there nor that none is."""


PENDING: Final = Pending()
#: How long a reader that only sends may need to start, if its driver does not know better.
START_UP_MS: Final = 3_000


@runtime_checkable
class Reader(Protocol):
    """A device that reads the card in its field."""

    continuous: bool
    recoveries: int

    def open(self) -> None:
        """Claim and configure the device. Raises HardwareError."""

    def poll(self) -> Card | Misread | Pending | None:
        """Poll once. Returns None when no card is there. Raises HardwareError when the device is gone."""

    def close(self) -> None:
        """Release the device. Never raises."""

"""Polls the cards in the field of a chip that sends single frames: what the drivers of an RC522 and a PN532 share."""

from __future__ import annotations

from typing import Protocol

from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.drivers.readers.iso14443a import Reply, activate, another_answers, halt, is_random
from fabgate.errors import HardwareError


class UpsetError(Exception):
    """The chip lost its configuration or its thread: configure it again."""


class Radio(Protocol):
    """A chip with an antenna. Each method raises HardwareError when the chip is gone."""

    def configure(self) -> None:
        """Reset the chip, set it up, switch the field on."""

    def check(self) -> None:
        """Check that the chip has its configuration. Raises UpsetError when it was reset in the meantime."""

    def exchange(self, frame: bytes, *, last_bits: int = 0, expect_bits: int = 0) -> Reply | None:
        """Send a frame, as `iso14443a.Exchange` does. Raises UpsetError."""

    def reset_cards(self) -> None:
        """Switch the field off and on, so that every card starts again. Raises UpsetError."""


class Poller:
    """Polls one field. `where` names the reader in errors."""

    def __init__(self, where: str) -> None:
        self.recoveries = 0
        self._where = where
        self._seen: bytes | None = None

    def poll(self, radio: Radio) -> Card | Misread | None:
        """Poll once. After an upset the chip is configured again, once, and polled again; that adds one to `recoveries`."""
        try:
            return self._look(radio)
        except UpsetError:
            # A brown-out: the chip is back at its reset values, field off. Try once to recover in this poll.
            self.recoveries += 1
            radio.configure()
        try:
            return self._look(radio)
        except UpsetError as error:
            raise HardwareError(f"{self._where} resets again and again ({error}). Check its 3.3 V supply") from error

    def forget(self) -> None:
        """Forget the card: the reader was closed."""
        self._seen = None

    def _look(self, radio: Radio) -> Card | Misread | None:
        radio.check()
        seen, self._seen = self._seen, None
        uid = activate(radio.exchange)
        found = self._settle(radio, uid, known=uid == seen) if isinstance(uid, bytes) else uid
        if isinstance(found, Misread) and found.reason is not MisreadReason.RANDOM_UID:
            radio.reset_cards()  # a card in the middle of its selection would ignore the next WUPA
        return found

    def _settle(self, radio: Radio, uid: bytes, *, known: bool) -> Card | Misread:
        """Put the card to sleep and return the result. Only a card that is new since the last poll is checked twice."""
        if not halt(radio.exchange):
            return Misread(MisreadReason.TORN)
        if is_random(uid):
            return Misread(MisreadReason.RANDOM_UID)
        if not known and another_answers(radio.exchange):
            return Misread(MisreadReason.TWO_CARDS)
        self._seen = uid
        return Card(uid)

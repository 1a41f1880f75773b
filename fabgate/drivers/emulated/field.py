"""The field of a reader with several cards.

All cards in the field receive every frame and answer at the same time, bit by bit. Where two answers differ, the receiver
sees a bit that is modulated in both halves: a collision (ISO/IEC 14443-3 section 6.2.3).
"""

from __future__ import annotations

import msgspec

from fabgate.drivers.emulated.cards import Answer, Bits, Card
from fabgate.errors import UsageError


class Heard(msgspec.Struct, frozen=True):
    """What the receiver gets; `collision` is the position (from 0) of the first bit on which cards differ."""

    bits: Bits
    collision: int | None
    parity_ok: bool


class Field:
    """The cards on one antenna."""

    def __init__(self) -> None:
        self.cards: list[Card] = []
        self.on = False

    @property
    def has_cards(self) -> bool:
        """Whether any card is there that can still answer."""
        return any(not card.gone for card in self.cards)

    def place(self, card: Card) -> None:
        """Place a card. Raises UsageError when one with this UID is there already."""
        self.cards = [each for each in self.cards if not each.gone]
        if any(each.label == card.label for each in self.cards):
            raise UsageError(f"{card.label.hex().upper()} is on the reader already: remove it first")
        self.cards.append(card)
        card.power(on=self.on)

    def remove(self, uid: bytes | None) -> None:
        """Remove one card, or all of them for None. Raises UsageError when it is not there."""
        if uid is not None and not any(card.label == uid for card in self.cards):
            here = ", ".join(card.label.hex().upper() for card in self.cards) or "no card"
            raise UsageError(f"found {here} on the reader, wanted {uid.hex().upper()}: place it first")
        for card in self.cards:
            if uid in (None, card.label):
                card.power(on=False)
        self.cards = [card for card in self.cards if uid is not None and card.label != uid]

    def power(self, *, on: bool) -> None:
        """Switch the field; cards lose their state when it goes off and start in IDLE when it comes on."""
        if on != self.on:
            self.on = on
            for card in self.cards:
                card.power(on=on)

    def say(self, frame: Bits) -> Heard | None:
        """Send a frame to all cards and return what they answer together, or None for silence."""
        spoken = [(card.strength, answer) for card in self.cards if (answer := card.hear(frame)) and answer.bits]
        if not spoken:
            return None
        loudest = max(strength for strength, _ in spoken)
        return _together([answer for strength, answer in spoken if strength == loudest])


def _together(answers: list[Answer]) -> Heard:
    longest = max(len(answer.bits) for answer in answers)
    columns = [{answer.bits[place] for answer in answers if place < len(answer.bits)} for place in range(longest)]
    collision = next((place for place, column in enumerate(columns) if len(column) > 1), None)
    # Both halves of the bit are modulated: the decoder takes the first, a 1.
    return Heard(tuple(max(column) for column in columns), collision, all(answer.parity_ok for answer in answers))

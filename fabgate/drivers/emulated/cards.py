"""Emulates contactless cards: what they answer, and when they are silent.

Type A cards by ISO/IEC 14443-3: the state machine of section 6.3, REQA and WUPA (6.4), ANTICOLLISION and SELECT with
cascade levels (6.5), HLTA (6.4.3), CRC_A (annex B). A frame is a tuple of bits in the order on the air, the least
significant bit of each byte first, without parity. A `Card` can also fail, so that a test can tear it away, flip one
bit, or give it a wrong check byte.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from enum import Enum, auto
from functools import reduce
from operator import xor
from typing import TypeAlias

import msgspec

from fabgate.errors import UsageError

REQA, WUPA = 0x26, 0x52
SELECT_CODES = (0x93, 0x95, 0x97)
CASCADE_TAG = 0x88
CASCADE_BIT = 0x04
RANDOM_FIRST_BYTE = 0x08
#: ATQA as sent, by the length of the UID: bits 8 and 7 are the size (table 4), bit 3 asks for bit-frame anticollision.
ATQA = {4: b"\x04\x00", 7: b"\x44\x00", 10: b"\x84\x00"}
#: A usual SAK of the last level: MIFARE Classic 1K, Ultralight, an ISO/IEC 14443-4 card.
SAK = {4: 0x08, 7: 0x00, 10: 0x20}

Bits: TypeAlias = tuple[int, ...]


class State(Enum):
    """States of section 6.3; the starred ones are READY and ACTIVE reached from HALT."""

    POWER_OFF = auto()
    IDLE = auto()
    READY = auto()
    ACTIVE = auto()
    HALT = auto()


class Answer(msgspec.Struct, frozen=True):
    """An answer of a card. `parity_ok` is False when a receiver notices that a bit was flipped."""

    bits: Bits
    parity_ok: bool = True


class Spoil(msgspec.Struct, frozen=True):
    """Damages one answer, by its number from 0: flips the bit at `bend`, or keeps only the first `keep` bits.

    With `hidden` the parity is changed too, so that only BCC and CRC show the damage.
    """

    answer: int
    bend: int | None = None
    keep: int | None = None
    hidden: bool = False


class Card:
    """One card. `uid` is 4, 7 or 10 bytes without cascade tags; `label` is the UID by which it is removed.

    After `torn_after` answers it is gone; `spoils` damage single answers; `bcc_xor` and `crc_xor` change its check bytes.
    Of several cards only those of the greatest `strength` are received (the capture effect of a near and a far card).
    """

    def __init__(
        self,
        uid: bytes,
        *,
        torn_after: int | None = None,
        spoils: tuple[Spoil, ...] = (),
        bcc_xor: int = 0,
        crc_xor: int = 0,
        strength: int = 0,
        new_uid: Callable[[], bytes] | None = None,
    ) -> None:
        self.label = check_uid(uid)
        self.uid = self.label
        self.strength = strength
        self.answers = 0
        self._torn_after = torn_after
        self._spoils = {spoil.answer: spoil for spoil in spoils}
        self._bcc_xor, self._crc_xor = bcc_xor, crc_xor
        self._new_uid = new_uid
        self.state = State.POWER_OFF
        self.starred = False
        self._level = 0

    @classmethod
    def random(cls, label: bytes = b"\x08\x00\x00\x00", *, torn_after: int | None = None) -> Card:
        """Return a card that makes up a new UID, 08 and three random bytes, each time the field comes on.

        Phones and DESFire cards in random-ID mode do so (section 6.5.4: uid0 '08' marks a random UID).
        """
        return cls(label, torn_after=torn_after, new_uid=lambda: bytes((RANDOM_FIRST_BYTE,)) + secrets.token_bytes(3))

    @property
    def gone(self) -> bool:
        """Whether the card was torn away: it has given all its answers."""
        return self._torn_after is not None and self.answers >= self._torn_after

    def power(self, *, on: bool) -> None:
        """React to the field: on means IDLE, off means POWER-OFF, in which all state is lost."""
        self.state = State.IDLE if on else State.POWER_OFF
        self.starred, self._level = False, 0
        if on and self._new_uid is not None:
            self.uid = self._new_uid()

    def hear(self, bits: Bits) -> Answer | None:
        """Return the answer to one frame of the reader, or None for silence."""
        if self.state is State.POWER_OFF or self.gone:
            return None
        answer = self._react(bits)
        if answer is None:
            return None
        spoil = self._spoils.get(self.answers)
        self.answers += 1
        return _spoiled(answer, spoil) if spoil else Answer(answer)

    def _react(self, bits: Bits) -> Bits | None:
        if len(bits) == 7:
            return self._request(from_bits(bits)[0])
        if self.state is State.READY and len(bits) >= 16 and from_bits(bits)[0] == SELECT_CODES[self._level]:
            return self._anticollision(bits)
        if self.state is State.ACTIVE and from_bits(bits) == with_crc(b"\x50\x00"):
            self.state, self.starred = State.HALT, False  # HLTA is answered by silence (section 6.4.3)
            return None
        return self._fall_back()

    def _request(self, command: int) -> Bits | None:
        # REQA wakes IDLE only, WUPA also HALT. In READY and ACTIVE both are errors, so a card that was selected and not
        # halted is seen by every second poll only.
        if self.state is State.IDLE and command in (REQA, WUPA):
            self.starred = False
        elif self.state is State.HALT and command == WUPA:
            self.starred = True
        else:
            return self._fall_back()
        self.state, self._level = State.READY, 0
        return to_bits(ATQA[len(self.uid)])

    def _anticollision(self, bits: Bits) -> Bits | None:
        nvb = bits[8:16]
        count = from_bits(nvb)[0]
        known = bits[16:]
        levels = cascade(self.uid)
        own = levels[self._level] + bytes((bcc(levels[self._level]) ^ self._bcc_xor,))
        own_bits = to_bits(own)
        if count == 0x70:  # SELECT: 40 bits and CRC_A
            honest = to_bits(levels[self._level] + bytes((bcc(levels[self._level]),)))
            frame = from_bits(bits)
            if known[:40] not in (own_bits, honest) or frame != with_crc(frame[:7]) or len(bits) != 72:
                return self._fall_back()
            return self._selected(last=self._level == len(levels) - 1)
        valid = ((count >> 4) - 2) * 8 + (count & 0x0F)
        if not 0 <= valid < 40 or len(known) != valid or own_bits[:valid] != known:
            return self._fall_back()
        return own_bits[valid:]

    def _selected(self, *, last: bool) -> Bits:
        if last:
            self.state = State.ACTIVE
            sak = SAK[len(self.uid)]
        else:
            self._level += 1
            sak = CASCADE_BIT
        low, high = crc_a(bytes((sak,)))
        return to_bits(bytes((sak, low ^ (self._crc_xor & 0xFF), high ^ (self._crc_xor >> 8))))

    def _fall_back(self) -> Bits | None:
        """Leave READY and ACTIVE on anything unexpected: to HALT where the card came from HALT, else to IDLE."""
        if self.state in (State.READY, State.ACTIVE):
            self.state = State.HALT if self.starred else State.IDLE
        self.starred, self._level = False, 0
        return None  # a real card stays silent too


def check_uid(uid: bytes) -> bytes:
    """Return `uid`. Raises UsageError for a UID that no card can have.

    ISO/IEC 14443-3 section 6.5.4: 88 is the cascade tag, so it cannot be uid0 of a single or uid3 of a double size.
    """
    if len(uid) not in ATQA:
        raise UsageError(f"found a UID of {len(uid)} bytes, wanted 4, 7 or 10: write it in full, as hex")
    if {4: uid[0], 7: uid[3]}.get(len(uid)) == CASCADE_TAG:
        raise UsageError(f"found {uid.hex().upper()}, wanted no 88 (the cascade tag) there: no card has this UID")
    return bytes(uid)


def parse_uid(text: object) -> bytes:
    """Return the bytes of a UID in hex, with or without colons. Raises UsageError."""
    if not isinstance(text, str):
        raise UsageError(f"found {text!r} as uid, wanted hex in quotes such as '04A1B2C3'")
    compact = re.sub(r"[\s:]", "", text)
    if not re.fullmatch(r"([0-9A-Fa-f]{2})+", compact):
        raise UsageError(f"found '{text}' as uid, wanted pairs of hex digits such as '04A1B2C3'")
    return check_uid(bytes.fromhex(compact))


def cascade(uid: bytes) -> list[bytes]:
    """Return the 4 bytes that a card shows at each cascade level (section 6.5.4, figure 14)."""
    tag = bytes((CASCADE_TAG,))
    if len(uid) == 4:
        return [uid]
    if len(uid) == 7:
        return [tag + uid[:3], uid[3:]]
    return [tag + uid[:3], tag + uid[3:6], uid[6:]]


def bcc(four: bytes) -> int:
    """Return the block check character: exclusive-or of the four bytes."""
    return reduce(xor, four, 0)


def crc_a(data: bytes, preset: int = 0x6363) -> bytes:
    """Return the CRC_A of `data`, low byte first, by annex B: x^16 + x^12 + x^5 + 1, reflected, preset 6363h."""
    crc = preset
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


def with_crc(data: bytes) -> bytes:
    """Return `data` and its CRC_A."""
    return data + crc_a(data)


def to_bits(data: bytes, last_bits: int = 0) -> Bits:
    """Return the bits of `data` as they go over the air; of the last byte only `last_bits`, or all for 0."""
    bits = tuple(byte >> place & 1 for byte in data for place in range(8))
    return bits[: len(bits) - 8 + last_bits] if last_bits and data else bits


def from_bits(bits: Bits) -> bytes:
    """Return bytes for bits; a last byte that is not full is filled with zeroes."""
    return bytes(
        sum(bit << place for place, bit in enumerate(bits[start : start + 8])) for start in range(0, len(bits), 8)
    )


def _spoiled(bits: Bits, spoil: Spoil) -> Answer:
    if spoil.bend is not None:
        place = spoil.bend % len(bits)
        bits = (*bits[:place], bits[place] ^ 1, *bits[place + 1 :])
    if spoil.keep is not None:
        bits = bits[: spoil.keep]
    return Answer(bits, parity_ok=spoil.hidden)

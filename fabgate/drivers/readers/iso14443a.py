"""Reads the UID of a card by ISO/IEC 14443-3 type A.

Pure: the radio is an `Exchange` that is passed in, so any chip that can send a frame can use this file. A UID is accepted
only if each answer has the right length, each BCC and each SAK's CRC_A is right, and the SAK's cascade bit agrees with
the cascade tag. Otherwise the result is a Misread with the reason.
"""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Protocol

import msgspec

from fabgate.drivers.readers import Misread, MisreadReason

REQA, WUPA = b"\x26", b"\x52"  # section 6.4.1, short frames of 7 bits
SHORT = 7
SELECT_CODES = (0x93, 0x95, 0x97)  # section 6.5.3.1, cascade levels 1 to 3
CASCADE_TAG = 0x88
CASCADE_BIT = 0x04  # of the SAK, section 6.5.3.4
RANDOM_FIRST_BYTE = 0x08  # section 6.5.4: a single-size UID that is a new one each time
ATQA_BITS, UID_BITS, SAK_BITS = 16, 40, 24


class Reply(msgspec.Struct, frozen=True):
    """A received frame of `bits` bits. `collision`: two cards answered at once; `broken`: the chip found an error."""

    data: bytes
    bits: int
    collision: bool = False
    broken: bool = False


class Exchange(Protocol):
    """Sends one frame and returns the answer, or None for silence."""

    def __call__(self, frame: bytes, *, last_bits: int = 0, expect_bits: int = 0) -> Reply | None:
        """Send `frame`, of its last byte only `last_bits` (0 for all); expect an answer of `expect_bits` (0 for none)."""


def activate(exchange: Exchange) -> bytes | Misread | None:
    """Wake and select a card; return its UID, why it could not be read, or None when nothing answers.

    WUPA, unlike REQA, also wakes the card that the last poll put to sleep, so that a card that stays is seen each time.
    After a UID the card is ACTIVE and `halt` must follow; after a Misread only switching the field off resets cards.
    """
    atqa = exchange(WUPA, last_bits=SHORT, expect_bits=ATQA_BITS)
    if atqa is None:
        return None
    fault = _fault(atqa, ATQA_BITS)
    if fault:
        return fault
    uid = b""
    for level, code in enumerate(SELECT_CODES):
        shown = exchange(bytes((code, 0x20)), expect_bits=UID_BITS)
        if shown is None or (fault := _fault(shown, UID_BITS)):
            return fault or Misread(MisreadReason.TORN)
        if reduce(xor, shown.data, 0):  # four bytes and their BCC
            return Misread(MisreadReason.TORN)
        sak = exchange(with_crc(bytes((code, 0x70)) + shown.data), expect_bits=SAK_BITS)
        if sak is None or (fault := _fault(sak, SAK_BITS)):
            return fault or Misread(MisreadReason.TORN)
        if sak.data != with_crc(sak.data[:1]):
            return Misread(MisreadReason.TORN)
        continues = bool(sak.data[0] & CASCADE_BIT)
        # The cascade bit has no BCC and the tag no CRC: the length is certain only where both agree. At level 3 there is no
        # tag, and nothing may follow.
        tagged = shown.data[0] == CASCADE_TAG and level < len(SELECT_CODES) - 1
        if continues != tagged:
            return Misread(MisreadReason.TORN)
        uid += shown.data[1:4] if continues else shown.data[:4]
        if not continues:
            break
    return uid


def halt(exchange: Exchange) -> bool:
    """Put the selected card to sleep; return whether it did, which the card shows by silence (section 6.4.3)."""
    return exchange(with_crc(b"\x50\x00")) is None


def another_answers(exchange: Exchange) -> bool:
    """Return whether another card is there, which was not put to sleep: REQA wakes only such cards.

    A near card can drown out a far one, so that no bit collides. The far card goes back to IDLE when the near one is
    selected.
    """
    return exchange(REQA, last_bits=SHORT) is not None


def is_random(uid: bytes) -> bool:
    """Whether the card makes a new UID like this one each time it is powered."""
    return len(uid) == 4 and uid[0] == RANDOM_FIRST_BYTE


def with_crc(data: bytes) -> bytes:
    """Return `data` with its CRC_A: annex B, polynomial 8408h reflected, preset 6363h, low byte first."""
    crc = 0x6363
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return data + crc.to_bytes(2, "little")


def _fault(reply: Reply, bits: int) -> Misread | None:
    if reply.collision:
        return Misread(MisreadReason.TWO_CARDS)
    if reply.broken or reply.bits != bits:
        return Misread(MisreadReason.TORN)
    return None

"""What is a badge, and when are two badges the same? By their kind and their canonical bytes, and in no other way.

=========  =====================================================================================
ISO14443A  a UID of 4, 7 or 10 bytes as the card sends it: without cascade tags 0x88 and BCC (ISO/IEC 14443-3)
WIEGAND26  3 bytes: facility, number high, number low (26-bit Wiegand without its two parity bits)
EM4100     5 bytes as the fob sends them: version or customer, then four of data (125 kHz; EM4100 data sheet, section 7)
WIEGAND    one byte with the bits of the frame, then the payload without parity bits, highest byte first
NUMBER     one byte with the id of its format, then the digits in ASCII, with all leading zeros
=========  =====================================================================================

Badges are never compared by a suffix, as numbers, or after cutting: systems that do so take two members for one. So a
number that a reader has shortened is a badge of its own kind, and not the card that it was made from.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from fabgate.errors import UsageError

UID_LENGTHS: Final = (4, 7, 10)  # ISO/IEC 14443-3: single, double, triple size
DIGEST_BYTES: Final = 32
CASCADE_TAG: Final = 0x88
#: The bits of a Wiegand frame, and those of its payload: the first and the last bit are parity.
WIEGAND_PAYLOAD_BITS: Final = {26: 24, 34: 32, 37: 35}
_RANDOM_FIRST_BYTE: Final = 0x08  # ISO/IEC 14443-3, section 6.5.4


class Kind(IntEnum):
    """The kind of a badge. The number is part of the digest: never change one."""

    ISO14443A = 1
    WIEGAND26 = 2  # 26 bits only: they had a kind of their own before other Wiegand frames were known
    EM4100 = 3
    WIEGAND = 4
    NUMBER = 5


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How a reader shortens badges: to `size` bytes, printed as `digits` digits of the base 10 or 16.

    `id` is part of the digest: never change one. Formats that differ in the order of the bytes only are two formats,
    because the same digits are then two badges.
    """

    id: int
    name: str
    digits: int
    base: int
    size: int

    def problem(self, digits: str) -> str:
        """Return what is wrong with the digits of a badge, without them, or "". Letters have to be upper-case."""
        if len(digits) != self.digits:
            return f"found {len(digits)} digits, wanted all {self.digits}, with leading zeros"
        if not re.fullmatch("[0-9]+" if self.base == 10 else "[0-9A-F]+", digits):
            return f"found another sign, wanted {self.digits} {'decimal' if self.base == 10 else 'hex'} digits"
        if int(digits, self.base) >= 1 << 8 * self.size:
            return f"the number is too large, wanted {(1 << 8 * self.size) - 1} at most"
        return ""


NUMBERS: Final = (
    NumberFormat(1, "number10", 10, 10, 4),
    NumberFormat(2, "number10-reversed", 10, 10, 4),
    NumberFormat(3, "number8", 8, 10, 3),
    NumberFormat(4, "number8-reversed", 8, 10, 3),
    NumberFormat(5, "number8-hex", 8, 16, 4),
    NumberFormat(6, "number8-hex-reversed", 8, 16, 4),
)
#: How many bytes a badge may have, for the kinds that have no further rule.
_LENGTHS: Final = {Kind.ISO14443A: UID_LENGTHS, Kind.WIEGAND26: (3,), Kind.EM4100: (5,)}
_BY_ID: Final = {one.id: one for one in NUMBERS}
_BY_NAME: Final = {one.name: one for one in NUMBERS}


class RandomUidError(UsageError):
    """A card that makes up a new UID each time (phones, DESFire in random-ID mode) cannot be a badge."""


@dataclass(frozen=True, slots=True, order=True)
class Badge:
    """One badge: its kind, and the canonical bytes of that kind. Raises UsageError for bytes that the kind does not have."""

    kind: Kind
    raw: bytes

    def __post_init__(self) -> None:
        if problem := _problem(self.kind, self.raw):
            raise UsageError(problem)

    @property
    def is_random(self) -> bool:
        """Whether this UID is a new one each time, by ISO/IEC 14443-3 (single size, first byte 08)."""
        return self.kind is Kind.ISO14443A and len(self.raw) == 4 and self.raw[0] == _RANDOM_FIRST_BYTE

    @property
    def is_half(self) -> bool:
        """Whether this is the first half of a 7-byte UID, as some libraries cut it: many cards have the same half."""
        return self.kind is Kind.ISO14443A and len(self.raw) == 4 and self.raw[0] == CASCADE_TAG

    def __str__(self) -> str:
        """Return the canonical spelling, which ``parse`` reads: upper-case hex for a UID, or a prefix and the rest.

        A UID of 8 decimal digits is written with colons, because it could be a decimal.
        """
        raw = self.raw
        match self.kind:
            case Kind.WIEGAND26:
                return f"w26:{raw[0]},{int.from_bytes(raw[1:], 'big')}"
            case Kind.EM4100:
                return f"em-hex:{raw.hex().upper()}"
            case Kind.WIEGAND:
                return f"w{raw[0]}-hex:{int.from_bytes(raw[1:], 'big'):0{payload_digits(raw[0])}X}"
            case Kind.NUMBER:
                return f"{_BY_ID[raw[0]].name}:{raw[1:].decode('ascii')}"
        plain = raw.hex().upper()
        return raw.hex(":") if len(raw) == 4 and plain.isdecimal() else plain

    def masked(self) -> str:
        """Return the form for logs, which never show a badge in full."""
        if self.kind is Kind.NUMBER:
            return f"{len(self.raw) - 1}D-..{self.raw[-2:].decode('ascii')}"
        return f"{len(self.raw)}B-..{self.raw[-1:].hex().upper()}"


def from_uid(uid: bytes) -> Badge:
    """Return the badge of a UID as a reader gives it.

    Raises UsageError for half a UID or a wrong length, and RandomUidError for a random UID.
    """
    badge = Badge(Kind.ISO14443A, bytes(uid))
    refuse_half(badge, str(badge))
    refuse_random(badge)
    return badge


def wiegand(bits: int, payload: int) -> Badge:
    """Return the badge of a Wiegand frame of 26, 34 or 37 bits; `payload` is without the parity bits at both ends.

    Raises UsageError for another length, or a payload that is too large for it.
    """
    size = WIEGAND_PAYLOAD_BITS.get(bits)
    if size is None:
        raise UsageError(f"found {bits} bits, wanted a Wiegand frame of {_one_of(WIEGAND_PAYLOAD_BITS)}")
    if not 0 <= payload < 1 << size:
        raise UsageError(f"the payload is too large, wanted {(1 << size) - 1} at most in a frame of {bits} bits")
    raw = payload.to_bytes(-(-size // 8), "big")
    return Badge(Kind.WIEGAND26, raw) if bits == 26 else Badge(Kind.WIEGAND, bytes((bits,)) + raw)


def number(name: str, digits: str) -> Badge:
    """Return the badge of digits that a reader prints in the number format `name`. Raises UsageError."""
    if problem := _BY_NAME[name].problem(digits.upper()):
        raise UsageError(f"{name}: {problem}")
    return Badge(Kind.NUMBER, bytes((_BY_NAME[name].id,)) + digits.upper().encode("ascii"))


def digest(badge: Badge, key: bytes) -> str:
    """Return the keyed BLAKE2b-256 of ``kind, length, bytes`` as lower-case hex; `key` is 16 to 64 bytes.

    With the key, brute force over 4-byte UIDs takes hours: the digest hides badges from a glance, not from an attacker.
    It includes length and kind, so badges of different kinds or sizes never have the same digest.
    """
    message = bytes((badge.kind, len(badge.raw))) + badge.raw
    return hashlib.blake2b(message, key=key, digest_size=DIGEST_BYTES).hexdigest()


def key_mark(key: bytes) -> str:
    """Return 16 hex digits by which two badge keys are told apart, without the key: BLAKE2b-64, keyed and personalised.

    The personalisation (RFC 7693, 2.5) keeps it apart from every digest of a badge.
    """
    return hashlib.blake2b(key=key, digest_size=8, person=b"badge-key-mark").hexdigest()


def payload_digits(bits: int) -> int:
    """Return how many hex digits the payload of a Wiegand frame has."""
    return -(-WIEGAND_PAYLOAD_BITS[bits] // 4)


def refuse_half(badge: Badge, text: str) -> None:
    """Raise UsageError for half of a 7-byte UID, which was written as `text`."""
    if badge.is_half:
        raise UsageError(
            f"'{text}' starts with the cascade tag 88: it is half of a 7-byte UID, as some libraries cut it."
            " Read the card again with 'fabgate badge'"
        )


def refuse_random(badge: Badge) -> None:
    """Raise RandomUidError for a random UID."""
    if badge.is_random:
        raise RandomUidError(
            f"{badge} is a random UID, of a phone or of a card that makes a new one each time. It cannot be recognised"
            " again; use another card"
        )


def _problem(kind: Kind, raw: bytes) -> str:
    """Return why these bytes are no badge of this kind, or ""."""
    if kind is Kind.WIEGAND:
        bits = raw[0] if raw else 0
        if bits == 26 or bits not in WIEGAND_PAYLOAD_BITS:
            wanted = [one for one in WIEGAND_PAYLOAD_BITS if one != 26]
            return f"found a Wiegand badge of {bits} bits, wanted {_one_of(wanted)}"
        size = WIEGAND_PAYLOAD_BITS[bits]
        if len(raw) != 1 + -(-size // 8) or int.from_bytes(raw[1:], "big") >= 1 << size:
            return f"found another payload of {bits} bits than {size} bits without parity"
        return ""
    if kind is Kind.NUMBER:
        known = _BY_ID.get(raw[0]) if raw else None
        return "found an unknown number format" if known is None else known.problem(raw[1:].decode("latin-1"))
    lengths = _LENGTHS[kind]
    return "" if len(raw) in lengths else f"found a badge of {len(raw)} bytes, wanted {_one_of(lengths)}"


def _one_of(values: Iterable[int]) -> str:
    return " or ".join(map(str, values))

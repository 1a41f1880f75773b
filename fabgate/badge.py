"""Badges: their canonical form, all spellings, and the keyed digest that is used instead of the badge.

A badge is its **kind and its bytes in the order of its standard, with their length**: a 4-, 7- or 10-byte UID of
ISO/IEC 14443-3 type A as the card sends it (without cascade tags 0x88 and BCC), or the 3 bytes of a 26-bit Wiegand
number. Badges are never compared by a suffix, as numbers, or after cutting: systems that do so take two members for
one.

People and programs spell the same card in at least six ways. ``parse`` reads the unambiguous ones; a spelling that could
be two cards is refused, with the ways to write it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce
from operator import xor

from fabgate.errors import UsageError

UID_LENGTHS = (4, 7, 10)  # ISO/IEC 14443-3: single, double, triple size
DIGEST_BYTES = 32
CASCADE_TAG = 0x88
_HEX = re.compile(r"[0-9A-Fa-f]+")
_HEX_LENGTHS = tuple(2 * n for n in UID_LENGTHS)
#: Text that can only be hex: with 0x in front, or with separated bytes (``12 34 56 78``). Other groups may be decimal.
_SURELY_HEX = re.compile(r"0[xX].*|[0-9A-Fa-f]{2}(?:[\s:.-][0-9A-Fa-f]{2})+")


class Kind(IntEnum):
    """The kind of a badge. The number is part of the digest: never change one."""

    ISO14443A = 1
    WIEGAND26 = 2


class RandomUidError(UsageError):
    """A card that makes up a new UID each time (phones, DESFire in random-ID mode) cannot be a badge."""


class AmbiguousError(UsageError):
    """Digits only, which can mean several cards: decimals are printed on cards, and readers print hex."""

    def __init__(self, text: str, digits: str) -> None:
        # 8 digits can also be 4 bytes of hex; a longer number is one of SimpleMFRC522.
        prefixes = ("hex", "dec", "dec-reversed") if len(digits) == 8 else ("dec", "dec-reversed", "simple")
        self._spellings = {f"{prefix}:{digits}": _DIGITS_ARE[prefix] for prefix in prefixes}
        first, second, third = (f"{spelling} ({reading})" for spelling, reading in self._spellings.items())
        self.problem = f"'{text}' is a number, and a number can be two different cards"
        super().__init__(f"{self.problem}: write {first}, {second} or {third}")

    @property
    def readings(self) -> list[tuple[str, str, Badge]]:
        """Return each card that it can mean: an unambiguous spelling, how the digits are read, and the card."""
        cards = []
        for spelling, reading in self._spellings.items():
            with contextlib.suppress(UsageError):
                cards.append((spelling, reading, parse(spelling)))
        return cards


@dataclass(frozen=True, slots=True, order=True)
class Badge:
    """One badge. `raw` is 4, 7 or 10 bytes (ISO14443A) or 3 bytes (WIEGAND26: facility, number high, number low)."""

    kind: Kind
    raw: bytes

    def __post_init__(self) -> None:
        wanted = UID_LENGTHS if self.kind is Kind.ISO14443A else (3,)
        if len(self.raw) not in wanted:
            lengths = " or ".join(map(str, wanted))
            raise UsageError(f"found a badge of {len(self.raw)} bytes, wanted {lengths}")

    @property
    def is_random(self) -> bool:
        """Whether this UID is a new one each time, by ISO/IEC 14443-3 (single size, first byte 08)."""
        return self.kind is Kind.ISO14443A and len(self.raw) == 4 and self.raw[0] == 0x08

    @property
    def is_half(self) -> bool:
        """Whether this is the first half of a 7-byte UID, as some libraries cut it: many cards have the same half."""
        return self.kind is Kind.ISO14443A and len(self.raw) == 4 and self.raw[0] == CASCADE_TAG

    def __str__(self) -> str:
        """Return the canonical spelling: upper-case hex, or ``w26:facility,number``.

        Hex of 8 decimal digits is written with colons, because it could be a decimal.
        """
        if self.kind is Kind.WIEGAND26:
            return f"w26:{self.raw[0]},{int.from_bytes(self.raw[1:], 'big')}"
        plain = self.raw.hex().upper()
        return self.raw.hex(":") if _may_be_decimal(plain) else plain

    def masked(self) -> str:
        """Return the form for logs, which never show a badge in full."""
        return f"{len(self.raw)}B-..{self.raw[-1:].hex().upper()}"


def from_uid(uid: bytes) -> Badge:
    """Return the badge of a UID as a reader gives it.

    Raises UsageError for half a UID or a wrong length, and RandomUidError for a random UID.
    """
    badge = Badge(Kind.ISO14443A, bytes(uid))
    _refuse_half(badge, str(badge))
    _refuse_random(badge)
    return badge


def digest(badge: Badge, key: bytes) -> str:
    """Return the keyed BLAKE2b-256 of ``kind, length, bytes`` as lower-case hex; `key` is 16 to 64 bytes.

    With the key, brute force over 4-byte UIDs takes hours: the digest hides badges from a glance, not from an attacker.
    It includes length and kind, so cards of different sizes never have the same digest.
    """
    message = bytes((badge.kind, len(badge.raw))) + badge.raw
    return hashlib.blake2b(message, key=key, digest_size=DIGEST_BYTES).hexdigest()


def parse(spelling: str) -> Badge:
    """Return the badge of any spelling.

    Raises UsageError: AmbiguousError for digits that can mean several cards, RandomUidError for a random UID.

    ========================  =====================================================
    04A1B2C3, 04:A1:B2:C3     hex as the card sends it (8, 14 or 20 digits; 12345678 could be decimal, and is refused)
    hex:12345678              the same, where it has no letter
    hex-reversed:C3B2A104     hex, last byte first
    dec:0077705923            decimal of the bytes in card order (up to 10 digits)
    dec-reversed:3283263748   decimal of the bytes, last first
    w26:123,45678 or 123,45678  facility,number of a 26-bit Wiegand badge
    simple:19892716500        the number of SimpleMFRC522 for a 4-byte card (UID and BCC)
    ========================  =====================================================
    """
    badge = _parse(spelling)
    _refuse_random(badge)
    return badge


def spellings(badge: Badge) -> dict[str, str]:
    """Return all spellings of `badge` by name, as ``fabgate badge`` shows them; ``parse`` reads each."""
    if badge.kind is Kind.WIEGAND26:
        return {"canonical": str(badge)}
    raw, backwards = badge.raw, badge.raw[::-1]
    named = {
        "canonical": str(badge),
        "hex with colons": raw.hex(":").upper(),
        "hex reversed": f"hex-reversed:{backwards.hex().upper()}",
        "decimal": f"dec:{int.from_bytes(raw, 'big'):0{_digits(raw)}d}",
        "decimal reversed": f"dec-reversed:{int.from_bytes(backwards, 'big'):0{_digits(raw)}d}",
    }
    if len(raw) == 4:
        named["SimpleMFRC522"] = f"simple:{int.from_bytes(raw + bytes((_bcc(raw),)), 'big')}"
    return named


def _parse(spelling: str) -> Badge:
    text = spelling.strip()
    prefix, colon, rest = text.partition(":")
    reader = _PREFIXES.get(prefix.lower()) if colon else None
    if reader is not None:
        return reader(rest.strip())
    if "," in text:
        return _wiegand(text)
    compact = re.sub(r"[\s:.-]", "", text)
    if compact.lower().startswith("0x"):
        compact = compact[2:]
    if _HEX.fullmatch(compact):
        if _may_be_decimal(compact) and not _SURELY_HEX.fullmatch(text):
            raise AmbiguousError(text, compact)
        if len(compact) in _HEX_LENGTHS:
            return _hex(compact)
        if len(compact) % 2:
            digits = "1 hex digit" if len(compact) == 1 else f"{len(compact)} hex digits"
            raise UsageError(f"'{text}' has {digits}: a zero is missing. Write all 8, 14 or 20 digits")
        raise UsageError(f"'{text}' has {len(compact)} hex digits, wanted 8, 14 or 20 (a UID of 4, 7 or 10 bytes)")
    raise UsageError(
        f"'{text}' is not a badge: wanted hex such as 04:A1:B2:C3, or hex:, hex-reversed:, dec:, dec-reversed:, w26:,"
        " simple:"
    )


def _may_be_decimal(compact: str) -> bool:
    # A decimal of 14 or 20 digits would be a UID that starts with 00, which no manufacturer of 7- and 10-byte cards uses.
    return compact.isdecimal() and len(compact) not in _HEX_LENGTHS[1:]


def _hex(text: str) -> Badge:
    compact = re.sub(r"[\s:.-]", "", text)
    if not _HEX.fullmatch(compact) or len(compact) not in _HEX_LENGTHS:
        raise UsageError(f"'{text}' is not a UID: wanted 8, 14 or 20 hex digits")
    badge = Badge(Kind.ISO14443A, bytes.fromhex(compact))
    _refuse_half(badge, text)
    return badge


def _hex_reversed(text: str) -> Badge:
    compact = re.sub(r"[\s:.-]", "", text)
    if not _HEX.fullmatch(compact) or len(compact) not in _HEX_LENGTHS:
        raise UsageError(f"'{text}' is not a UID: wanted 8, 14 or 20 hex digits")
    return _hex(bytes.fromhex(compact)[::-1].hex())


def _number(text: str, *, most_bytes: int) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"'{text}' is not a decimal number")
    value = int(text[:40])  # more digits than any badge has, but not so many that int() refuses them
    if value >= 1 << (8 * most_bytes):
        raise UsageError(f"'{text}' is too large, wanted 0 to {(1 << (8 * most_bytes)) - 1}")
    return value


def _dec_bytes(text: str) -> bytes:
    # The length of the UID follows from the number of digits: 4, 7 and 10 bytes have up to 10, 17 and 25 digits. Fewer
    # than 11 digits are a 4-byte card, because readers that print decimals print those.
    for size in UID_LENGTHS:
        if len(text) <= _digits(bytes(size)):
            return _number(text, most_bytes=size).to_bytes(size, "big")
    raise UsageError(f"'{text}' has {len(text)} digits, wanted at most 25")


def _dec(text: str) -> Badge:
    return _hex(_dec_bytes(text).hex())


def _dec_reversed(text: str) -> Badge:
    return _hex(_dec_bytes(text)[::-1].hex())


def _wiegand(text: str) -> Badge:
    facility, _, number = text.partition(",")
    raw = _number(facility.strip(), most_bytes=1).to_bytes(1, "big")
    raw += _number(number.strip(), most_bytes=2).to_bytes(2, "big")
    return Badge(Kind.WIEGAND26, raw)


def _simple(text: str) -> Badge:
    data = _number(text, most_bytes=5).to_bytes(5, "big")
    uid, bcc = data[:4], data[4]
    if bcc != _bcc(uid):
        raise UsageError(
            f"'{text}' is not a number of SimpleMFRC522: its last byte is not the check byte of the others"
        )
    if uid[0] == CASCADE_TAG:
        raise UsageError(
            f"'{text}' is from a 7-byte card, of which SimpleMFRC522 keeps 3 bytes: other cards have the same number."
            " Read the card again with 'fabgate badge'"
        )
    return Badge(Kind.ISO14443A, uid)


_DIGITS_ARE = {
    "hex": "hex, as most readers print it",
    "dec": "decimal, bytes in card order",
    "dec-reversed": "decimal, last byte first",
    "simple": "from SimpleMFRC522",
}
_PREFIXES = {
    "hex": _hex,
    "hex-reversed": _hex_reversed,
    "dec": _dec,
    "dec-reversed": _dec_reversed,
    "w26": _wiegand,
    "simple": _simple,
}


def _refuse_half(badge: Badge, text: str) -> None:
    if badge.is_half:
        raise UsageError(
            f"'{text}' starts with the cascade tag 88: it is half of a 7-byte UID, as some libraries cut it."
            " Read the card again with 'fabgate badge'"
        )


def _refuse_random(badge: Badge) -> None:
    if badge.is_random:
        raise RandomUidError(
            f"{badge} is a random UID, of a phone or of a card that makes a new one each time. It cannot be recognised"
            " again; use another card"
        )


def _bcc(uid: bytes) -> int:
    return reduce(xor, uid, 0)


def _digits(raw: bytes) -> int:
    return len(str((1 << 8 * len(raw)) - 1))

"""How is a badge spelled? ``parse`` reads every unambiguous spelling; ``spellings`` writes them.

People and programs spell the same card in at least six ways. A spelling that could be two badges is refused, with the
ways to write it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import partial, reduce
from operator import xor
from typing import Final

from fabgate.badge.kinds import (
    CASCADE_TAG,
    NUMBERS,
    UID_LENGTHS,
    Badge,
    Kind,
    number,
    payload_digits,
    refuse_half,
    refuse_random,
    wiegand,
)
from fabgate.errors import UsageError

_HEX = re.compile(r"[0-9A-Fa-f]+")
_HEX_LENGTHS = tuple(2 * n for n in UID_LENGTHS)
#: Text that can only be hex: with 0x in front, or with separated bytes (``12 34 56 78``). Other groups may be decimal.
_SURELY_HEX = re.compile(r"0[xX].*|[0-9A-Fa-f]{2}(?:[\s:.-][0-9A-Fa-f]{2})+")
_EM_DIGITS: Final = 10
_EM_DECIMALS: Final = 13


class AmbiguousError(UsageError):
    """Digits that can mean several badges: decimals are printed on cards, and readers print hex or shortened numbers."""

    def __init__(self, text: str, digits: str) -> None:
        self._spellings = dict(_readings(digits))
        # A number that a reader shortened says so in its prefix. No other digits than those of `text`: the roster file's
        # mistakes are published, and there `text` is masked.
        ways = [
            spelling if spelling.startswith("number") else f"{spelling} ({reading})"
            for spelling, reading in self._spellings.items()
            if spelling.endswith(digits)
        ]
        if len(ways) < len(self._spellings):
            ways.append("hex: and all but the last two digits (hex with check byte)")
        if digits.isdecimal():
            self.problem = f"'{text}' is a number, and a number can be two different cards"
        else:
            self.problem = (
                f"'{text}' has {len(digits)} hex digits, wanted 8, 14 or 20 (a UID of 4, 7 or 10 bytes), or a prefix"
            )
        super().__init__(f"{self.problem}: write {' or '.join(filter(None, [', '.join(ways[:-1]), ways[-1]]))}")

    @property
    def readings(self) -> list[tuple[str, str, Badge]]:
        """Return each badge that it can mean: an unambiguous spelling, how the digits are read, and the badge."""
        cards = []
        for spelling, reading in self._spellings.items():
            with contextlib.suppress(UsageError):
                cards.append((spelling, reading, parse(spelling)))
        return cards


def parse(spelling: str) -> Badge:
    """Return the badge of any spelling.

    Raises UsageError: AmbiguousError for digits that can mean several cards, RandomUidError for a random UID.

    ========================  =====================================================
    04A1B2C3, 04:A1:B2:C3     hex as the card sends it (8, 14 or 20 digits; 12345678 could be decimal, and is refused)
    hex:12345678              the same, where it has no letter
    hex-reversed:C3B2A104     hex, last byte first
    dec:0077705923            decimal of the bytes in card order (up to 10 digits)
    dec-reversed:3283263748   decimal of the bytes, last first
    simple:19892716500        the number of SimpleMFRC522 for a 4-byte card (UID and BCC)
    em-hex:0A00B1C2D3         the 10 hex digits of a 125 kHz badge (EM4100); em-hex-reversed: last byte first
    em-dec:0042961322707      the same as a decimal of 13 digits
    w26:123,45678 or 123,45678  facility,number of a 26-bit Wiegand badge
    w34:123,45678             facility,number of a 34-bit Wiegand badge, 16 bits each
    w34-hex:007BB26E          the payload of a 34-bit Wiegand badge, without parity bits; w37-hex: of 37 bits
    number10:0012345678       what a reader prints that shortens to ten digits; five other formats are in ``NUMBERS``
    ========================  =====================================================
    """
    badge = _parse(spelling)
    refuse_random(badge)
    return badge


def example(text: str) -> str:
    """Return a right spelling with the prefix of a wrong one; "" where it has no known prefix."""
    return _EXAMPLES.get(text.strip().partition(":")[0].lower(), "")


def spellings(badge: Badge) -> dict[str, str]:
    """Return all spellings of `badge` by name, as ``fabgate badge`` shows them; ``parse`` reads each."""
    raw, backwards = badge.raw, badge.raw[::-1]
    if badge.kind is Kind.EM4100:
        return {
            "canonical": str(badge),
            "hex reversed": f"em-hex-reversed:{backwards.hex().upper()}",
            "decimal": f"em-dec:{int.from_bytes(raw, 'big'):0{_digits(raw)}d}",
        }
    if badge.kind is Kind.WIEGAND and raw[0] == 34:
        facility, low = int.from_bytes(raw[1:3], "big"), int.from_bytes(raw[3:], "big")
        return {"canonical": str(badge), "facility, number": f"w34:{facility},{low}"}
    if badge.kind is not Kind.ISO14443A:
        return {"canonical": str(badge)}
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
    reader = PREFIXES.get(prefix.lower()) if colon else None
    if reader is not None:
        return reader(rest.strip())
    if "," in text:
        return _wiegand(26, text)
    compact = re.sub(r"[\s:.-]", "", text)
    if compact.lower().startswith("0x"):
        compact = compact[2:]
    if _HEX.fullmatch(compact):
        if _may_be_decimal(compact) and not _SURELY_HEX.fullmatch(text):
            raise AmbiguousError(text, compact)
        if len(compact) in _HEX_LENGTHS:
            return _hex(compact)
        if len(compact) == _EM_DIGITS:
            raise AmbiguousError(text, compact)
        if len(compact) % 2:
            digits = "1 hex digit" if len(compact) == 1 else f"{len(compact)} hex digits"
            raise UsageError(f"'{text}' has {digits}: a zero is missing. Write all 8, 14 or 20 digits")
        raise UsageError(f"'{text}' has {len(compact)} hex digits, wanted 8, 14 or 20 (a UID of 4, 7 or 10 bytes)")
    raise UsageError(
        f"'{text}' is not a badge: wanted hex such as 04:A1:B2:C3, or a prefix such as dec: or em-hex:"
        " (fabgate badge --help)"
    )


def _may_be_decimal(compact: str) -> bool:
    # A decimal of 14 or 20 digits would be a UID that starts with 00, which no manufacturer of 7- and 10-byte cards uses.
    return compact.isdecimal() and len(compact) not in _HEX_LENGTHS[1:]


def _hex(text: str) -> Badge:
    compact = re.sub(r"[\s:.-]", "", text)
    if not _HEX.fullmatch(compact) or len(compact) not in _HEX_LENGTHS:
        raise UsageError(f"'{text}' is not a UID: wanted 8, 14 or 20 hex digits")
    return _uid(bytes.fromhex(compact), text)


def _hex_reversed(text: str) -> Badge:
    compact = re.sub(r"[\s:.-]", "", text)
    if not _HEX.fullmatch(compact) or len(compact) not in _HEX_LENGTHS:
        raise UsageError(f"'{text}' is not a UID: wanted 8, 14 or 20 hex digits")
    return _uid(bytes.fromhex(compact)[::-1], text)


def _uid(raw: bytes, text: str) -> Badge:
    badge = Badge(Kind.ISO14443A, raw)
    refuse_half(badge, text)
    return badge


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
    return _uid(_dec_bytes(text), text)


def _dec_reversed(text: str) -> Badge:
    return _uid(_dec_bytes(text)[::-1], text)


def _em(text: str, *, turned: bool = False) -> Badge:
    compact = re.sub(r"[\s:.-]", "", text)
    if not _HEX.fullmatch(compact) or len(compact) != _EM_DIGITS:
        raise UsageError(f"'{text}' is not an EM4100 badge: found {len(compact)} characters, wanted 10 hex digits")
    raw = bytes.fromhex(compact)
    return Badge(Kind.EM4100, raw[::-1] if turned else raw)


def _em_dec(text: str) -> Badge:
    # Fewer digits could be the ten that are printed on many fobs, which are four of the five bytes only.
    if len(text) != _EM_DECIMALS:
        raise UsageError(f"'{text[:40]}' has {len(text)} digits, wanted all {_EM_DECIMALS}; ten digits are number10:")
    return Badge(Kind.EM4100, _number(text, most_bytes=5).to_bytes(5, "big"))


def _wiegand(bits: int, text: str) -> Badge:
    # The first 8 of 24 bits (format H10301), or the first 16 of 32 (H10306), are the facility.
    facility, _, low = text.partition(",")
    payload = _number(facility.strip(), most_bytes=1 if bits == 26 else 2) << 16
    return wiegand(bits, payload | _number(low.strip(), most_bytes=2))


def _wiegand_hex(bits: int, text: str) -> Badge:
    wanted = payload_digits(bits)
    if not _HEX.fullmatch(text) or len(text) != wanted:
        raise UsageError(
            f"'{text}' is not a payload of {bits} bits: wanted all {wanted} hex digits, without parity bits"
        )
    return wiegand(bits, int(text, 16))


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


def _readings(digits: str) -> list[tuple[str, str]]:
    """Return the spellings that digits without a prefix may stand for, and how each reads them; some may be no badge."""
    if not digits.isdecimal():
        prefixes = ["em-hex"]
    elif len(digits) == 8:  # 8 digits can also be 4 bytes of hex
        prefixes = ["hex", "dec", "dec-reversed", "number8", "number8-reversed"]
    elif len(digits) == _EM_DIGITS:
        prefixes = ["dec", "dec-reversed", "simple", "number10", "number10-reversed", "em-hex"]
    else:
        prefixes = ["dec", "dec-reversed", "simple"]  # longer than a decimal of 4 bytes: the number of SimpleMFRC522
    found = [(f"{prefix}:{digits}", _DIGITS_ARE[prefix]) for prefix in prefixes]
    if len(digits) == _EM_DIGITS and _HEX.fullmatch(digits):
        raw = bytes.fromhex(digits)
        if raw[4] == _bcc(raw[:4]):
            found.append((f"hex:{digits[:8]}", "hex with check byte"))
    return found


_DIGITS_ARE = {
    "hex": "hex, as most readers print it",
    "dec": "decimal, bytes in card order",
    "dec-reversed": "decimal, last byte first",
    "simple": "from SimpleMFRC522",
    "em-hex": "hex of a 125 kHz badge",
    "number8": "shortened by a reader",
    "number8-reversed": "the same, last byte first",
    "number10": "shortened by a reader",
    "number10-reversed": "the same, last byte first",
}
PREFIXES: Final[dict[str, Callable[[str], Badge]]] = {
    "hex": _hex,
    "hex-reversed": _hex_reversed,
    "dec": _dec,
    "dec-reversed": _dec_reversed,
    "simple": _simple,
    "em-hex": _em,
    "em-hex-reversed": partial(_em, turned=True),
    "em-dec": _em_dec,
    "w26": partial(_wiegand, 26),
    "w34": partial(_wiegand, 34),
    "w34-hex": partial(_wiegand_hex, 34),
    "w37-hex": partial(_wiegand_hex, 37),
    **{one.name: partial(number, one.name) for one in NUMBERS},
}
_EXAMPLES: Final = {
    "hex": "hex:12345678",
    "hex-reversed": "hex-reversed:C3B2A104",
    "dec": "dec:0077705923",
    "dec-reversed": "dec-reversed:3283263748",
    "simple": "simple:19892716500",
    "em-hex": "em-hex:0A00B1C2D3",
    "em-hex-reversed": "em-hex-reversed:D3C2B1000A",
    "em-dec": "em-dec:0042961322707",
    "w26": "w26:123,45678",
    "w34": "w34:123,45678",
    "w34-hex": "w34-hex:007BB26E",
    "w37-hex": "w37-hex:00007BB26",
    "number10": "number10:0012345678",
    "number10-reversed": "number10-reversed:1315027968",
    "number8": "number8:00123456",
    "number8-reversed": "number8-reversed:04252161",
    "number8-hex": "number8-hex:04A1B2C3",
    "number8-hex-reversed": "number8-hex-reversed:C3B2A104",
}


def _bcc(uid: bytes) -> int:
    return reduce(xor, uid, 0)


def _digits(raw: bytes) -> int:
    return len(str((1 << 8 * len(raw)) - 1))

"""What does a reader print? The formats that gate.yaml declares for readers that print or type a badge as text.

Nothing is inferred. A format fixes the number of digits, their base and the order of the bytes, and text that differs is
no badge. Text becomes a UID or a 125 kHz badge only where it has all bytes of it; everything that may be a part of
something longer stays a shortened number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from fabgate.badge.kinds import NUMBERS, Badge
from fabgate.badge.spelling import parse
from fabgate.errors import UsageError

FormatName = Literal[
    "em-hex",
    "em-hex-reversed",
    "uid4-hex",
    "uid4-hex-reversed",
    "uid7-hex",
    "uid7-hex-reversed",
    "uid10-hex",
    "uid10-hex-reversed",
    "w26-digits",
    "number10",
    "number10-reversed",
    "number8",
    "number8-reversed",
    "number8-hex",
    "number8-hex-reversed",
]


@dataclass(frozen=True, slots=True)
class Format:
    """How many digits of the base 10 or 16 a reader prints, and the spelling that they make."""

    digits: int
    base: int
    spelling: Callable[[str], str]

    @property
    def wanted(self) -> str:
        """Return what is wanted, for errors."""
        return f"{self.digits} {'decimal' if self.base == 10 else 'hex'} digits"


def read(printed: str, name: str) -> Badge:
    """Return the badge of the text that a reader printed in the format `name`, without the end of the line.

    Raises RandomUidError for a random UID, and UsageError for text that is not of this format, or half of a UID.
    """
    known = FORMATS[name]
    digits = "[0-9]" if known.base == 10 else "[0-9A-Fa-f]"
    if not re.fullmatch(f"{digits}{{{known.digits}}}", printed):
        raise UsageError(f"found {len(printed)} characters, wanted {known.wanted} ({name})")
    return parse(known.spelling(printed))


def _prefixed(prefix: str, digits: int, base: int = 16) -> Format:
    return Format(digits, base, lambda printed: f"{prefix}:{printed}")


FORMATS: Final[dict[str, Format]] = {
    "em-hex": _prefixed("em-hex", 10),
    "em-hex-reversed": _prefixed("em-hex-reversed", 10),
    **{f"uid{size}-hex": _prefixed("hex", 2 * size) for size in (4, 7, 10)},
    **{f"uid{size}-hex-reversed": _prefixed("hex-reversed", 2 * size) for size in (4, 7, 10)},
    # Three digits of the facility and five of the number, as on many fobs.
    "w26-digits": Format(8, 10, lambda printed: f"w26:{printed[:3]},{printed[3:]}"),
    **{one.name: _prefixed(one.name, one.digits, one.base) for one in NUMBERS},
}

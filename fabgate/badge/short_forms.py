"""Which shorter numbers do readers make of a badge? A workshop names those that its readers make; nothing is guessed.

A form has two parts: which bytes of which badge a reader keeps, and as what it gives them. ``em:number8`` are eight
decimal digits of a 125 kHz badge, ``uid-last:w26`` a 26-bit Wiegand badge of the last bytes of a card's UID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fabgate.badge.kinds import NUMBERS, Badge, Kind, digest, number, wiegand
from fabgate.badge.spelling import parse
from fabgate.errors import UsageError

#: Which badges a reader shortens: their kind, and whether it keeps the first bytes or the last ones. Readers of 125 kHz
#: badges drop the first byte or the first two (EM4100: the customer's code). Those of cards differ, so that both ends
#: have a name; a UID of four bytes has the same forms of four bytes by either.
SOURCES: Final = {"em": (Kind.EM4100, False), "uid-first": (Kind.ISO14443A, True), "uid-last": (Kind.ISO14443A, False)}
_REVERSED: Final = "-reversed"
_WIEGAND_BITS: Final = {"w26": 26, "w34": 34}


@dataclass(frozen=True, slots=True)
class ShortForm:
    """What one kind of reader makes of badges of the kind `source`: `size` bytes, the first or the last ones."""

    name: str
    source: Kind
    keeps_first: bool
    #: What the bytes become: the name of a number format, ``w26`` or ``w34``.
    made: str
    size: int
    is_reversed: bool

    def of(self, whole: Badge) -> Badge | None:
        """Return what such a reader gives for a badge; None if it does not read badges of this kind."""
        if whole.kind is not self.source:
            return None
        kept = whole.raw[: self.size] if self.keeps_first else whole.raw[-self.size :]
        value = int.from_bytes(kept, "little" if self.is_reversed else "big")
        if self.made in _WIEGAND_BITS:
            return wiegand(_WIEGAND_BITS[self.made], value)
        printed = _NUMBERS[self.made]
        return number(self.made, f"{value:0{printed.digits}{'d' if printed.base == 10 else 'X'}}")


_NUMBERS: Final = {one.name: one for one in NUMBERS}


def _forms() -> Iterator[ShortForm]:
    sizes = {
        **{name: one.size for name, one in _NUMBERS.items()},
        **{f"{name}{turned}": bits // 8 for name, bits in _WIEGAND_BITS.items() for turned in ("", _REVERSED)},
    }
    for source, (kind, keeps_first) in SOURCES.items():
        for made, size in sizes.items():
            turned = made.endswith(_REVERSED)
            # A number says in its own name that its bytes are turned; a Wiegand badge does not.
            named = made.removesuffix(_REVERSED) if made.removesuffix(_REVERSED) in _WIEGAND_BITS else made
            yield ShortForm(f"{source}:{made}", kind, keeps_first, named, size, turned)


SHORT_FORMS: Final = {one.name: one for one in _forms()}


def read_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of short forms, sorted and each once. Raises UsageError."""
    found = {name.strip().lower() for name in names}
    if unknown := sorted(found - SHORT_FORMS.keys()):
        made = ", ".join(dict.fromkeys(name.partition(":")[2] for name in SHORT_FORMS))
        raise UsageError(
            f"found {', '.join(repr(one[:40]) for one in unknown)}, wanted BADGES:FORM such as em:number8; BADGES is one"
            f" of {', '.join(SOURCES)}, FORM one of {made}"
        )
    return tuple(sorted(found))


@lru_cache(maxsize=1 << 16)  # rosters are built with every change, from the same badges
def short_digests(spelling: str, names: tuple[str, ...], key: bytes) -> tuple[tuple[str, str], ...]:
    """Return (name, digest) of each short form among `names` of the badge with this canonical spelling."""
    whole = parse(spelling)
    found = ((name, SHORT_FORMS[name].of(whole)) for name in names)
    return tuple((name, digest(one, key)) for name, one in found if one is not None)

"""Explains a card: what other readers show for it, and which spelling of it the gate's roster knows.

Readers shorten and turn numbers around. A number that several cards share cannot be a badge; a card that stands in the
list of members the wrong way round is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Any, Final

from fabgate import badge
from fabgate.badge import Badge, Kind
from fabgate.badge.short_forms import SHORT_FORMS
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.config.keys import badge_key, badge_keys
from fabgate.gate.roster.directory import Directory
from fabgate.rules import vocabulary

#: How a badge is looked up: the holder of its digest, or None.
Find = Callable[[str], vocabulary.Holder | None]
_CASCADE: Final = bytes((badge.CASCADE_TAG,))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one kind of reader shows. `card` is the badge that a list then contains; None if it cannot be one."""

    reader: str
    shows: str
    card: Badge | None
    #: How many cards share it: "" for one card.
    shared: str = ""


def readings(card: Badge) -> list[Reading]:
    """Return what other readers show for a card, and what a list of members then contains."""
    if card.kind is Kind.EM4100:
        return _em_readings(card.raw)
    if card.kind is not Kind.ISO14443A:
        return []
    raw, turned = card.raw, card.raw[::-1]
    found = [Reading("last byte first, hex", turned.hex().upper(), _badge(turned))]
    shared = f"{1 << 8 * (len(raw) - 3):,} cards have the same"
    for reader, three in (("26-bit Wiegand, first bytes", raw[:3]), ("26-bit Wiegand, last bytes", raw[-3:])):
        for order, bytes_ in (("", three), (" turned", three[::-1])):
            wiegand = Badge(Kind.WIEGAND26, bytes_)
            found.append(Reading(f"{reader}{order}", str(wiegand).removeprefix("w26:"), wiegand, shared))
    whole = len(raw) == 4
    fours = {"": raw} if whole else {", first bytes": raw[:4], ", last bytes": raw[-4:]}
    four_shared = "longer cards may have the same" if whole else f"{1 << 8 * (len(raw) - 4):,} cards have the same"
    for which, four in fours.items():
        found += [_shortened(10, four, which, four_shared), _shortened(10, four, which, four_shared, turned=True)]
    if len(raw) > 4:
        cut = f"{1 << 8 * (len(raw) - 4):,} cards have the same"
        half = f"{1 << 8 * (len(raw) - 3):,} cards have the same"
        tagged = _CASCADE + raw[:3]
        simple = int.from_bytes(tagged + bytes((reduce(xor, tagged),)), "big")
        found += [
            Reading("SimpleMFRC522", str(simple), None, half),
            Reading("cut after the cascade tag", tagged.hex().upper(), None, half),
            Reading("first four bytes", raw[:4].hex().upper(), _badge(raw[:4]), cut),
            Reading("last four bytes", raw[-4:].hex().upper(), _badge(raw[-4:]), cut),
        ]
    return found


def _em_readings(raw: bytes) -> list[Reading]:
    """Return what readers show for a 125 kHz badge: most of them drop its first byte or its first two bytes."""
    found = []
    for digits, size in ((10, 4), (8, 3)):
        shared = f"{1 << 8 * (5 - size):,} badges have the same"
        found += [_shortened(digits, raw[-size:], "", shared), _shortened(digits, raw[-size:], "", shared, turned=True)]
    wiegand = Badge(Kind.WIEGAND26, raw[-3:])
    return [*found, Reading("26-bit Wiegand", str(wiegand).removeprefix("w26:"), wiegand, found[-1].shared)]


def _shortened(digits: int, kept: bytes, which: str, shared: str, *, turned: bool = False) -> Reading:
    """Return what a reader shows that prints the bytes `kept` of a badge as decimal digits."""
    value = int.from_bytes(kept, "little" if turned else "big")
    one = badge.number(f"number{digits}{'-reversed' if turned else ''}", f"{value:0{digits}d}")
    order = ", last byte first" if turned else ""
    return Reading(f"shortened to {digits} digits{which}{order}", str(one).partition(":")[2], one, shared)


@dataclass(frozen=True, slots=True)
class Known:
    """What the roster of a gate knows: the holder of the card, and cards that it knows in another reader's reading."""

    holder: vocabulary.Holder | None
    others: tuple[tuple[Reading, vocabulary.Holder], ...]


def known(card: Badge, keys: Mapping[str, bytes], find: Find) -> Known:
    """Look up a card, and every reading of it that can be a badge, under each of the gate's keys."""

    def holder(one: Badge) -> vocabulary.Holder | None:
        held = (find(badge.digest(one, key)) for key in keys.values())
        return next((found for found in held if found is not None), None)

    others = [
        (reading, found)
        for reading in readings(card)
        if reading.card is not None and reading.card != card and (found := holder(reading.card)) is not None
    ]
    return Known(holder(card), tuple(others))


def known_here(card: Badge, config: Config) -> Known | str:
    """Look up a card in the stored roster of a gate; or return why that is not possible."""
    try:
        keys = badge_keys(config) if config.badge_key_file is not None else {"own": badge_key(config, make=False)}
        emergency = {one.digest: vocabulary.Emergency(one.label) for one in config.emergency_badges}
        with closing(Directory(config.state_dir / "roster.db")) as directory:
            return known(card, keys, lambda digest: emergency.get(digest) or directory.find(digest))
    except (UsageError, OSError) as error:
        return str(error)


def lines(card: Badge, roster: Known | str | None) -> Iterator[str]:
    """Yield what ``fabgate badge`` prints below the spellings; `roster` is None without a gate."""
    found = readings(card)
    if found:
        yield ""
        yield "other readers show"
        width = max(len(one.reader) for one in found)
        for one in found:
            means = one.shared or ("which is another card" if one.card else "which cannot be a badge")
            form = _form(card, one.card)
            yield f"  {one.reader:<{width}}  {one.shows:<20}  {means}{f' ({form})' if form else ''}"
    if roster is None:
        return
    yield ""
    if isinstance(roster, str):
        yield f"roster            not checked: {roster}"
        return
    yield f"roster            {_described(roster.holder)}"
    for reading, holder in roster.others:
        yield f"                  but it knows {reading.card} ({reading.reader}): {_described(holder)}"
    if roster.holder is None and roster.others:
        yield f"                  Write {card} in the list of members, if it is the same person."


def as_json(card: Badge, roster: Known | str | None) -> dict[str, Any]:
    """Return the same for programs."""
    shown = [
        {
            "reader": one.reader,
            "shows": one.shows,
            "card": one.card and str(one.card),
            "shared": bool(one.shared),
            "form": _form(card, one.card) or None,
        }
        for one in readings(card)
    ]
    if not isinstance(roster, Known):
        return {"other_readers": shown, "roster": None}
    others = [{"card": str(reading.card), "holder": _described(holder)} for reading, holder in roster.others]
    known_as = None if roster.holder is None else _described(roster.holder)
    return {"other_readers": shown, "roster": {"holder": known_as, "others": others}}


def _described(holder: vocabulary.Holder | None) -> str:
    match holder:
        case None:
            return "no member has this card"
        case vocabulary.Barred(reasons=reasons, id=member):
            return f"{member or 'a person'} has this card, and is refused: {', '.join(reasons)}"
        case vocabulary.Emergency(label=label):
            return f"an emergency badge of gate.yaml: {label}"
        case vocabulary.Member(id=member, name=name):
            return f"{member}{f' ({name})' if name else ''} has this card"


def _form(card: Badge, shortened: Badge | None) -> str:
    """Return the name of a short form for ``fabgate collector badge-forms``; "" for what is none."""
    return "" if shortened is None else next((one.name for one in _FORMS if one.of(card) == shortened), "")


#: The last bytes of a UID first: of four bytes the first and the last ones are the same.
_FORMS: Final = sorted(SHORT_FORMS.values(), key=lambda one: one.keeps_first)


def _badge(raw: bytes) -> Badge | None:
    with suppress(UsageError):
        return badge.from_uid(raw)
    return None

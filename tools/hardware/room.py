"""Does everything fit into the gate box? Where it is stands in enclosure.py, how large in parts.yaml (`mm`); lengths are in mm.

Each thing has room of its own on the lid or on the floor, and where one is above the other, both fit between lid and floor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from tools.hardware import builds
from tools.hardware.enclosure import (
    BOARD_POST,
    BUTTONS,
    CARD,
    GATE_BOARD,
    GLANDS,
    INNER,
    LIGHT,
    PI,
    POST,
    SOUND,
    WINDOW,
    corners,
    posts,
)

#: What a wire of 0.5 mm² wants where it leaves a terminal, backwards or to the side.
BEND: Final = 10.0
_PLUG: Final = (34.0, 12.0)  # a plug of USB and the bend of its cable
_LAN: Final = 40.0  # a plug of Ethernet or USB, and the bend of its cable
_OVER: Final = 3.0  # by which its sockets stand over the board of a larger Pi
#: How far the supply is from the end with the SD card: USB-C of the Pi 4 and 5 (of the 3B+ 0.6 mm less), "PWR IN" of the Zero.
_SUPPLY: Final = {"Pi 3B+, 4, 5": 11.2, "Pi Zero": 54.0}
_BELOW: Final = 3.0  # what stands out below a Pi
_FERRULE: Final = 15.0  # its collar and the bend of the wire, outside a terminal of the gate board
_NUT: Final = (24.0, 15.0, 36.0)  # of a gland M16 and the cable behind it; its middle is 24 above the floor


@dataclass(frozen=True)
class Thing:
    """Something that takes room: its middle, its size, and how deep it is from the lid, or how high above the floor."""

    name: str
    middle: tuple[float, float]
    size: tuple[float, float]
    deep: float

    def overlaps(self, other: Thing) -> bool:
        """Say whether both want the same room, as seen from the front."""
        places = zip(self.middle, self.size, other.middle, other.size, strict=True)
        return all(abs(one - two) < (wide + broad) / 2 for one, wide, two, broad in places)


def on_the_lid() -> Iterator[Thing]:
    """Yield what is on the inside of the lid."""
    for name, part, middle in (
        ("S2", "button_flag", BUTTONS[0][0]),
        ("S1", "button_stop", BUTTONS[1][0]),
        ("H1", "rgb", LIGHT[0]),
        ("B1", "buzzer", SOUND),
        ("B1", "piezo", SOUND),
        ("A4", "oled", WINDOW[0]),
    ):
        wide, high, deep = builds.parts()[part]["mm"]
        yield Thing(name, middle, (wide, high), deep + (BEND if name.startswith("S") else 0))
    yield Thing("A2", CARD[0], CARD[1], builds.parts()["rc522"]["mm"][2])


def on_the_floor(pi: str) -> Iterator[Thing]:
    """Yield what is on the floor with a Pi of the models `pi`, with plugs and with wires that bend."""
    (x, y), (wide, high), _, _, post = PI[pi]
    top, deep = y + high / 2, builds.parts()["pi"]["mm"][2]
    yield Thing("A1", (x, y), (wide, high), post + deep)
    plug, broad = _PLUG
    yield Thing("A1's supply", (x - wide / 2 - plug / 2, top - _SUPPLY[pi]), (plug, broad), post + deep)
    for name, (places, _, tall) in posts().items():
        if name in PI and name != pi and tall + _BELOW > post:  # a lower one may stand below the board
            yield from (Thing("post of another Pi", place, (BOARD_POST, BOARD_POST), tall) for place in places)
    if pi != "Pi Zero":
        yield Thing("A1's network", (x, y - high / 2 - (_LAN + _OVER) / 2), (wide, _LAN + _OVER), post + deep)
    (x, y), (wide, high), _, _, post = GATE_BOARD
    deep = post + builds.parts()["perfboard"]["mm"][2]
    yield Thing("A3", (x, y), (wide, high), deep)
    yield Thing("wires of X2, below", (x, y - (high + _FERRULE) / 2), (wide, _FERRULE), deep)
    yield Thing("wires of X2.15 to X2.18", (x + (wide + _FERRULE) / 2, y), (_FERRULE, 30), deep)
    for place in GLANDS:
        broad, far, deep = _NUT
        yield Thing("gland", (place, far / 2 - INNER[1] / 2), (broad, far), deep)
    for place in corners():
        yield Thing("post of the lid", place, (POST, POST), INNER[2])


def clashes() -> list[str]:
    """Return what does not fit, with either Pi."""
    return list(dict.fromkeys(words for pi in PI for words in _clashes(pi)))


def _clashes(pi: str) -> Iterator[str]:
    lid, floor = list(on_the_lid()), list(on_the_floor(pi))
    for one, two in (*combinations(lid, 2), *combinations(floor, 2)):
        if one.overlaps(two) and one.name != two.name:
            yield f"{pi}: found {one.name} where {two.name} is, wanted room for both"
    for thing in (*lid, *floor):
        if any(abs(a) + s / 2 > i / 2 for a, s, i in zip(thing.middle, thing.size, INNER[:2], strict=True)):
            yield f"{pi}: found {thing.name} in the wall, wanted it within {INNER[0]:g} by {INNER[1]:g} mm"
    for thing in lid:
        room = INNER[2] - max((below.deep for below in floor if thing.overlaps(below)), default=0)
        if thing.deep > room:
            yield f"{pi}: found {thing.name} {thing.deep:g} mm deep with its wires, wanted {room:g} mm at most"


def require() -> None:
    """Raise ValueError with all that does not fit."""
    if found := clashes():
        raise ValueError("the gate box: " + "; ".join(found))

"""Where is what in the gate box? A plan from its front, made of the numbers of enclosure.py; lengths are in mm."""

from __future__ import annotations

from typing import Final

from tools.hardware.enclosure import (
    BUTTONS,
    CARD,
    EAR,
    GATE_BOARD,
    GLAND,
    GLANDS,
    INNER,
    LID,
    LIGHT,
    NOTCH,
    PI,
    SOUND,
    WALL,
    WINDOW,
    corners,
    ears,
    outer,
    posts,
)
from tools.hardware.room import on_the_floor, on_the_lid

_MARGIN: Final = 20.0
_BESIDE: Final = 235.0  # from the middle of the lid to that of the base
_READER: Final = (40.0, 60.0)


def picture() -> str:
    """Return the plan as SVG: the lid with its openings, and beside it the base with what is screwed to its floor."""
    long, wide, _ = outer()
    left, top = -long / 2 - _MARGIN, -wide / 2 - 1.5 * EAR - _MARGIN
    width, height = _BESIDE + long + 2 * _MARGIN, wide + 3 * EAR + 2 * _MARGIN
    items = [*_lid(long, wide), *_base(long, wide)]
    view = " ".join(_n(value) for value in (left, top, width, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" font-family="DejaVu Sans, Arial, sans-serif">\n'
        f"<title>The gate box: plan</title>\n"
        f'<rect x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}" fill="white"/>\n'
        + "\n".join(items)
        + "\n</svg>\n"
    )


def _lid(long: float, wide: float) -> list[str]:
    found = [_rect((0, 0), (long, wide), round_=6), _text((0, wide / 2 + 1.5 * EAR + 8), "Lid, from the front", 6)]
    found += [_circle(place, 3.4) for place in corners()]
    found += [_rect(*CARD), _rect(CARD[0], _READER, dashed=True)]
    found.append(_text((CARD[0][0], CARD[0][1] + 36), "hold the badge here"))
    found += _lines(CARD[0], "A2 reader,", "between", "the rails")
    for (place, size), name in zip(BUTTONS, ("S2 flag", "S1 stop"), strict=True):
        found += [_circle(place, size), _text(place, name), _text((place[0], place[1] - 17), f"Ø {_n(size)}")]
    found += [_circle(*LIGHT), _text((LIGHT[0][0], LIGHT[0][1] - 9), f"H1, Ø {_n(LIGHT[1])}")]
    found += [_circle((SOUND[0] + x, SOUND[1] + y), 2) for x, y in ((0, 0), (4, 0), (-4, 0), (0, 4), (0, -4))]
    found += [_text((SOUND[0], SOUND[1] - 9), "B1"), _rect(*WINDOW), _text(WINDOW[0], "A4 display")]
    found += [_text((WINDOW[0][0], WINDOW[0][1] - 13), f"{_n(WINDOW[1][0])} by {_n(WINDOW[1][1])}")]
    screws = corners()
    return [
        *found,
        _text((0, -wide / 2 - 8), f"outside {_n(long)} by {_n(wide)} by {_n(INNER[2] + WALL)}, and the lid {_n(LID)}"),
        _text((0, -wide / 2 - 14), f"screws {_n(2 * screws[-1][0])} by {_n(2 * screws[-1][1])}"),
    ]


def _base(long: float, wide: float) -> list[str]:
    found = [_text(_beside((0, wide / 2 + 1.5 * EAR + 8)), "Base, open", 6)]
    for place, hole in ears():
        found += [_rect(_beside(place), (16, 2 * EAR)), _circle(_beside(hole), 4.4)]
    found += [_rect(_beside((0, 0)), (long, wide), round_=6, fill="white")]
    found += [*_room(), _rect(_beside((0, 0)), INNER[:2])]
    found += [_circle(_beside(place), 8) for place in corners()]
    for middle, board, *_ in (*PI.values(), GATE_BOARD):
        found.append(_rect(_beside(middle), board, dashed=True))
    for places, screw, _ in posts().values():
        found += [_circle(_beside(place), 2 * screw) for place in places]
    zero, full = PI["Pi Zero"], PI["Pi 3B+, 4, 5"]
    found += _lines(_beside(zero[0]), "A1", "Zero:", f"posts {_n(zero[2][0])}", f"by {_n(zero[2][1])}")
    found += _lines(
        _beside((full[0][0], full[0][1] - 36)), "A1 3A+, 3B+, 4, 5:", f"posts {_n(full[2][0])} by {_n(full[2][1])}"
    )
    found += _lines(_beside(GATE_BOARD[0]), "A3 gate board", f"posts {_n(GATE_BOARD[2][0])} by {_n(GATE_BOARD[2][1])}")
    for x in GLANDS:
        found.append(_rect(_beside((x, -wide / 2)), (GLAND, 5), fill="#9ca3af"))
    found.append(
        _text(_beside((GLANDS[1], -wide / 2 - 8)), f"glands M16, Ø {_n(GLAND)}, at {', '.join(map(_n, GLANDS))}")
    )
    x, (broad, _) = NOTCH
    found += [
        _rect(_beside((x, -wide / 2)), (broad, 5), fill="#9ca3af"),
        *_lines(_beside((x, -wide / 2 + 12)), "notch for", "the cables"),
    ]
    (u, v), (w, z) = ears()[0][1], ears()[-1][1]
    found.append(_text(_beside((GLANDS[1], -wide / 2 - 14)), f"holes of the ears {_n(w - u)} by {_n(z - v)}"))
    return [*found, _text(_beside((0, wide / 2 + 8)), "grey: room for plugs, bent wires and what is behind the lid")]


def _room() -> list[str]:
    """Draw the room of plugs, bent wires and buttons: nothing else has a place there."""
    boards = ("A1", "A3", "post of the lid", "post of another Pi")
    grey = dict.fromkeys(thing for pi in PI for thing in on_the_floor(pi) if thing.name not in boards)
    buttons = [thing for thing in on_the_lid() if thing.name.startswith("S")]
    found = [_rect(_beside(thing.middle), thing.size, fill="#e5e7eb", edge=False) for thing in (*grey, *buttons)]
    for thing in grey:
        x, y = thing.middle
        if thing.name == "A1's network":
            found.append(_text(_beside((x, y)), "Ethernet"))
        elif thing.name == "A1's supply":  # beside the edge of the larger Pi
            found.append(_text(_beside((x - 6.5, y)), "supply"))
    for thing in buttons:
        found += _lines(_beside(thing.middle), thing.name, f"{_n(thing.deep)} deep")
    return found


def _beside(place: tuple[float, float]) -> tuple[float, float]:
    """Return a place of the base on the plan."""
    return (place[0] + _BESIDE, place[1])


def _lines(middle: tuple[float, float], *words: str) -> list[str]:
    """Return lines of text around a middle."""
    x, y = middle
    return [_text((x, y + 6 * ((len(words) - 1) / 2 - row)), line) for row, line in enumerate(words)]


def _rect(
    middle: tuple[float, float],
    size: tuple[float, float],
    *,
    fill: str = "none",
    round_: float = 0,
    dashed: bool = False,
    edge: bool = True,
) -> str:
    (x, y), (wide, high) = middle, size
    return (
        f'<rect x="{_n(x - wide / 2)}" y="{_n(-y - high / 2)}" width="{_n(wide)}" height="{_n(high)}" rx="{_n(round_)}"'
        f' fill="{fill}"{f" {_line(dashed)}" if edge else ""}/>'
    )


def _circle(middle: tuple[float, float], size: float, *, dashed: bool = False) -> str:
    return f'<circle cx="{_n(middle[0])}" cy="{_n(-middle[1])}" r="{_n(size / 2)}" fill="none" {_line(dashed)}/>'


def _line(dashed: bool) -> str:
    return 'stroke="#1f2937" stroke-width="0.5"' + (' stroke-dasharray="2 1.5"' if dashed else "")


def _text(middle: tuple[float, float], words: str, size: float = 4.5) -> str:
    x, y = middle
    return f'<text x="{_n(x)}" y="{_n(-y + size * 0.36)}" font-size="{_n(size)}" text-anchor="middle" fill="#111827">{words}</text>'


def _n(value: float) -> str:
    return f"{round(value, 1):g}"

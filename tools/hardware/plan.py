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
    LIGHT,
    PI_ZERO,
    SOUND,
    USB_NOTCH,
    WALL,
    WINDOW,
    corners,
    holes,
)

_MARGIN: Final = 20.0
_BESIDE: Final = 210.0  # from the middle of the lid to that of the base
_BOARD: Final = (90.0, 70.0)
_PI: Final = (65.0, 30.0)
_READER: Final = (40.0, 60.0)


def picture() -> str:
    """Return the plan as SVG: the lid with its openings, and beside it the base with what is screwed to its floor."""
    long, wide = INNER[0] + 2 * WALL, INNER[1] + 2 * WALL
    left, top = -long / 2 - EAR - _MARGIN, -wide / 2 - _MARGIN
    width, height = _BESIDE + long + 2 * (EAR + _MARGIN), wide + 2 * _MARGIN
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
    found = [_rect((0, 0), (long, wide), round_=6), _text((0, wide / 2 + 6), "Lid, from the front", 6)]
    found += [_circle(place, 3.4) for place in corners()]
    found += [_rect(*CARD), _rect(CARD[0], _READER, dashed=True)]
    found += [_text((CARD[0][0], CARD[0][1] + 36), "hold the badge here"), _text(CARD[0], "A2 reader,")]
    found += [_text((CARD[0][0], CARD[0][1] - 6), "between the rails")]
    for (place, size), name in zip(BUTTONS, ("S2 flag", "S1 stop"), strict=True):
        found += [_circle(place, size), _text(place, name), _text((place[0], place[1] - 17), f"Ø {_n(size)}")]
    found += [_circle(*LIGHT), _text((LIGHT[0][0], LIGHT[0][1] - 9), f"H1, Ø {_n(LIGHT[1])}")]
    found += [_circle((SOUND[0] + x, SOUND[1] + y), 2) for x, y in ((0, 0), (4, 0), (-4, 0), (0, 4), (0, -4))]
    found += [_text((SOUND[0], SOUND[1] - 9), "B1"), _rect(*WINDOW), _text(WINDOW[0], "A4 display")]
    found += [_text((WINDOW[0][0], WINDOW[0][1] - 13), f"{_n(WINDOW[1][0])} by {_n(WINDOW[1][1])}")]
    return [
        *found,
        _text((0, -wide / 2 - 8), f"outside {_n(long)} by {_n(wide)} by {_n(INNER[2] + WALL)}, and the lid"),
    ]


def _base(long: float, wide: float) -> list[str]:
    def beside(place: tuple[float, float]) -> tuple[float, float]:
        return (place[0] + _BESIDE, place[1])

    found = [_text(beside((0, wide / 2 + 6)), "Base, open", 6)]
    for x, y in holes((0, 0), (long + 2 * WALL + EAR, wide - 40)):
        found += [_rect(beside((x, y)), (2 * EAR, 16)), _circle(beside((x + (EAR / 4 if x > 0 else -EAR / 4), y)), 4.4)]
    found += [_rect(beside((0, 0)), (long, wide), round_=6, fill="white"), _rect(beside((0, 0)), INNER[:2])]
    found += [_circle(beside(place), 8) for place in corners()]
    for (middle, distance, screw, _), board, name in (
        (PI_ZERO, _PI, "A1 Pi Zero"),
        (GATE_BOARD, _BOARD, "A3 gate board"),
    ):
        found += [_rect(beside(middle), board, dashed=True), _text(beside(middle), name)]
        found += [_circle(beside(place), 2 * screw) for place in holes(middle, distance)]
        words = f"posts {_n(distance[0])} by {_n(distance[1])}"
        found.append(_text(beside((middle[0], middle[1] - 6)), words))
    for x in GLANDS:
        found.append(_rect(beside((x, -wide / 2)), (GLAND, 5), fill="#d1d5db"))
    found += [_text(beside((0, -wide / 2 - 8)), f"glands M16, Ø {_n(GLAND)}, at {', '.join(map(_n, GLANDS))}")]
    found += [_rect(beside((-62, -wide / 2)), (USB_NOTCH[0], 5), fill="#d1d5db")]
    found.append(_text(beside((-62, -wide / 2 + 14)), "USB cable"))
    for place, size in BUTTONS:
        found.append(_circle(beside(place), size, dashed=True))
    return [*found, _text(beside(((BUTTONS[0][0][0] + BUTTONS[1][0][0]) / 2, -52)), "dashed: behind the buttons")]


def _rect(
    middle: tuple[float, float],
    size: tuple[float, float],
    *,
    fill: str = "none",
    round_: float = 0,
    dashed: bool = False,
) -> str:
    (x, y), (wide, high) = middle, size
    return (
        f'<rect x="{_n(x - wide / 2)}" y="{_n(-y - high / 2)}" width="{_n(wide)}" height="{_n(high)}" rx="{_n(round_)}"'
        f' fill="{fill}" {_line(dashed)}/>'
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

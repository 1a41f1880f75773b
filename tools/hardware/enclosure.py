"""What does the gate box look like? Parametric, with build123d; all lengths are in mm.

A base with posts, and a lid that carries everything a member touches. For 24 V and less, never for mains. Print both
in PETG, 0.2 mm, 4 walls, without support: the base on its back, the lid on its face.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import atan2, degrees, hypot
from pathlib import Path
from typing import TYPE_CHECKING, Final

_DRAWN: Final = datetime(2026, 1, 1, tzinfo=UTC)  # a file that says when it was made changes each time

if TYPE_CHECKING:
    from build123d import Part

Place = tuple[float, float, float]

INNER: Final = (200.0, 154.0, 75.0)  # room.py says whether all parts, plugs and bent wires fit
WALL: Final = 2.4
LID: Final = 2.0  # the reader reads through it
CORNER: Final = 6.0
GLANDS: Final = (4.0, 35.0, 66.0)  # M16, in the wall that hangs down
GLAND: Final = 16.5
NOTCH: Final = (-80.0, (14.0, 9.0))  # plugs do not fit through a gland: the Pi's cables lie in a notch below the lid
EAR: Final = 14.0  # above and below, so that the box is no wider than a printer
SCREW: Final = 2.6  # M3 cuts its thread
POST: Final = 8.0  # of the lid
BOARD_POST: Final = 6.4
#: What is screwed to the floor: middle and size of the board, distance of its holes, screw, height of its posts. All places
#: are as a person sees them who stands before the box, from its middle. Either Pi has its posts: those of the Zero are
#: between those of the larger models, and lower, so that nothing on the underside of these touches them. Both have the SD
#: card above, the header on the right and the supply on the left. Sizes from the mechanical drawings of the Raspberry Pi.
PI: Final = {
    "Pi 3B+, 4, 5": ((-38.0, 25.5), (56.0, 85.0), (49.0, 58.0), 2.1, 8.0),
    "Pi Zero": ((-38.0, 39.5), (30.0, 65.0), (23.0, 58.0), 2.1, 4.0),
}
GATE_BOARD: Final = ((39.0, 37.0), (90.0, 70.0), (84.0, 64.0), 2.6, 6.0)
#: How far the middle of a Pi's holes is above that of its board: 3.5 mm from the end with the SD card, in all models.
RAISED: Final = {"Pi 3B+, 4, 5": 10.0, "Pi Zero": 0.0}
#: Openings of the lid: middle and diameter. The buttons are below the gate board, because they are nearly as deep as the box.
BUTTONS: Final = (((66.0, -37.0), 22.5), ((16.0, -37.0), 22.5))
LIGHT: Final = ((10.0, 44.0), 8.0)
SOUND: Final = (32.0, 44.0)
WINDOW: Final = ((68.0, 44.0), (32.0, 17.0))  # what a 1.3 inch OLED shows is 30 by 15
CARD: Final = ((-58.0, 0.0), (54.0, 86.0))  # a groove shows where to hold the badge
_SEEN_FROM: Final = (-180.0, -420.0, 520.0)
_LIFTED: Final = 90.0  # how far the picture has the lid above the base


def base() -> Part:
    """Return the base, open at the top, its floor at z = 0."""
    from build123d import Align, Axis, Box, Cylinder, Pos, Rot, fillet  # noqa: PLC0415 - in an environment of its own

    low = (Align.CENTER, Align.CENTER, Align.MIN)
    length, width, height = INNER
    outer = Box(length + 2 * WALL, width + 2 * WALL, height + WALL, align=low)
    part = fillet(outer.edges().filter_by(Axis.Z), CORNER)
    for (x, y), (u, v) in ears():  # for screws of 4 mm
        part += Pos(x, y, 0) * Box(16, 2 * EAR, 4, align=low)
        part -= Pos(u, v, 0) * Cylinder(2.2, 4, align=low)
    part -= Pos(0, 0, WALL) * Box(length, width, height, align=low)
    for x, y in corners():
        part += Pos(x, y, WALL) * Cylinder(POST / 2, height, align=low)
        part -= Pos(x, y, WALL + height - 15) * Cylinder(SCREW / 2, 15, align=low)
    for places, screw, tall in posts().values():
        for x, y in places:
            part += Pos(x, y, WALL) * Cylinder(BOARD_POST / 2, tall, align=low)
            part -= Pos(x, y, 1) * Cylinder(screw / 2, WALL + tall, align=low)
    for x in GLANDS:
        part -= Pos(x, -width / 2 - WALL / 2, 24) * Rot(90, 0, 0) * Cylinder(GLAND / 2, 3 * WALL)
    x, (wide, deep) = NOTCH
    part -= Pos(x, -width / 2 - WALL / 2, WALL + height - deep / 2) * Box(wide, 3 * WALL, deep)
    return part


def lid() -> Part:
    """Return the lid as it lies on the base: its face at z = LID, and below z = 0 what holds the reader."""
    from build123d import Align, Axis, Box, Cylinder, Pos, fillet  # noqa: PLC0415 - in an environment of its own

    low = (Align.CENTER, Align.CENTER, Align.MIN)
    high = (Align.CENTER, Align.CENTER, Align.MAX)
    length, width, _ = INNER
    part = fillet(Box(length + 2 * WALL, width + 2 * WALL, LID, align=low).edges().filter_by(Axis.Z), CORNER)
    for x, y in corners():
        part -= Pos(x, y, 0) * Cylinder(1.7, LID, align=low)
    for (x, y), wide in (*BUTTONS, LIGHT):
        part -= Pos(x, y, 0) * Cylinder(wide / 2, LID, align=low)
    for dx, dy in ((0, 0), (4, 0), (-4, 0), (0, 4), (0, -4)):
        part -= Pos(SOUND[0] + dx, SOUND[1] + dy, 0) * Cylinder(1, LID, align=low)
    (x, y), (long, wide) = WINDOW
    part -= Pos(x, y, 0) * Box(long, wide, LID, align=low)
    (x, y), (long, wide) = CARD
    groove = Box(long, wide, 0.6, align=high) - Box(long - 2.4, wide - 2.4, 0.6, align=high)
    part -= Pos(x, y, LID) * groove
    # Rails on the inside hold the reader's board, 60 by 40, in the middle of the card.
    for side in (-21.0, 21.0):
        part += Pos(x + side, y, 0) * Box(1.6, 62, 5, align=high)
    return part


def corners() -> list[tuple[float, float]]:
    """Return where the lid is screwed down."""
    length, width, _ = INNER
    return holes((0, 0), (length - POST, width - POST))


def outer() -> tuple[float, float, float]:
    """Return the size of the closed box, without its ears."""
    length, width, height = INNER
    return (length + 2 * WALL, width + 2 * WALL, height + WALL + LID)


def ears() -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the middle of each ear, and that of its hole."""
    places = holes((0, 0), (INNER[0] - 16, outer()[1] + EAR))
    return [((x, y), (x, y + (EAR / 4 if y > 0 else -EAR / 4))) for x, y in places]


def posts() -> dict[str, tuple[list[tuple[float, float]], float, float]]:
    """Return the posts of each board: their places, screw and height."""
    return {
        name: (holes((x, y + RAISED.get(name, 0)), distance), screw, tall)
        for name, ((x, y), _, distance, screw, tall) in {**PI, "gate board": GATE_BOARD}.items()
    }


def holes(middle: tuple[float, float], distance: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the corners of a rectangle, each once."""
    (x, y), (long, wide) = middle, distance
    return sorted({(x + sx * long / 2, y + sy * wide / 2) for sx in (-1, 1) for sy in (-1, 1)})


def write(folder: Path) -> None:
    """Write both parts for a printer (STL) and for CAD (STEP), and a picture of the open box."""
    from build123d import Compound, Pos, Rot, export_step, export_stl  # noqa: PLC0415 - in an environment of its own

    below, above = base(), lid()
    export_stl(below, str(folder / "base.stl"), tolerance=0.05, angular_tolerance=0.3)
    export_stl(Rot(180, 0, 0) * above, str(folder / "lid.stl"), tolerance=0.05, angular_tolerance=0.3)
    opened = Pos(0, 0, INNER[2] + WALL + _LIFTED) * above
    export_step(Compound(children=[below, opened]), str(folder / "enclosure.step"), timestamp=_DRAWN)
    _picture([below, opened], folder / "enclosure.svg")


def _picture(parts: list[Part], path: Path) -> None:
    from build123d import Compound, ExportSVG, Unit  # noqa: PLC0415 - in an environment of its own

    visible, _ = Compound(children=parts).project_to_viewport(_SEEN_FROM, look_at=(0, 0, 0))
    drawing = ExportSVG(unit=Unit.MM, scale=1, margin=6)
    drawing.add_layer("visible", line_weight=0.3)
    drawing.add_shape(visible, layer="visible")
    drawing.write(str(path))
    # A white ground: black lines are not seen on the dark pages of a forge. And the sizes.
    text = path.read_text("utf-8")
    (found,) = re.findall(r'viewBox="([^"]+)"', text)
    left, top, wide, high = map(float, found.split())
    seen = [_seen(place) for start, end, _, _ in _sizes() for place in (start, end)]
    right, low = max(left + wide, *(x + 8 for x, _ in seen)), max(top + high, *(y + 8 for _, y in seen))
    left, top = min(left, *(x - 8 for x, _ in seen)), min(top, *(y - 8 for _, y in seen))
    wide, high = right - left, low - top
    ground = f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="white" />'
    text = re.sub(r'width="[^"]+mm" height="[^"]+mm"', f'width="{wide:.1f}mm" height="{high:.1f}mm"', text, count=1)
    text = text.replace(f'viewBox="{found}"', f'viewBox="{left:.1f} {top:.1f} {wide:.1f} {high:.1f}"')
    text = re.sub(r"(<svg[^>]*>)", rf"\1{ground}", text, count=1)
    lines = "\n".join(line for size in _sizes() for line in _size(*size))
    path.write_text(text.replace("</svg>", f"{lines}\n</svg>"), "utf-8")


def _sizes() -> list[tuple[Place, Place, Place, str]]:
    """Return the sizes on the picture: both ends of each line, how far these are from what is measured, and the words."""
    (long, wide, _), up, ear = outer(), INNER[2] + WALL, outer()[1] / 2 + 1.5 * EAR
    side, front, top = long / 2, -wide / 2, up + _LIFTED + LID
    (left, _), (right, high) = corners()[0], corners()[-1]
    (ear_left, ear_low), (ear_right, ear_high) = ears()[0][1], ears()[-1][1]
    found = []
    for start, end, away, words in (
        ((-side, front, 0), (side, front, 0), (0, -48, 0), f"{long:.1f}"),
        ((side, front, top), (side, -front, top), (14, 0, 0), f"{wide:.1f}"),
        ((-side, front + CORNER, 0), (-side, front + CORNER, up), (-12, 0, 0), f"{up:.1f} and lid {LID:g}"),
        ((-side, -ear, 0), (-side, ear, 0), (-34, 0, 0), f"with ears {2 * ear:.1f}"),
        (
            (ear_left, ear_low, 0),
            (ear_right, ear_low, 0),
            (0, -14, 0),
            f"ears: holes {ear_right - ear_left:g} by {ear_high - ear_low:.1f}",
        ),
        ((left, high, top), (right, high, top), (0, 12, 0), f"lid: holes {right - left:g} by {2 * high:g}"),
    ):
        (x, y, z), (u, v, w), (dx, dy, dz) = start, end, away
        found.append(((x + dx, y + dy, z + dz), (u + dx, v + dy, w + dz), away, words))
    return found


def _size(start: Place, end: Place, away: Place, words: str) -> Iterator[str]:
    """Yield a line with its number, and thin lines from its ends to what is measured."""
    (x, y), (u, v), (dx, dy) = _seen(start), _seen(end), _seen(away)
    style = 'stroke="#1d4ed8" stroke-width="0.35" fill="none"'
    yield f'<path d="M {x:.2f} {y:.2f} L {u:.2f} {v:.2f}" {style}/>'
    for tip_x, tip_y in ((x, y), (u, v)):
        yield f'<path d="M {tip_x - dx:.2f} {tip_y - dy:.2f} L {tip_x:.2f} {tip_y:.2f}" {style} stroke-opacity="0.5"/>'
        yield f'<circle cx="{tip_x:.2f}" cy="{tip_y:.2f}" r="0.9" fill="#1d4ed8"/>'
    turn = degrees(atan2(v - y, u - x))
    turn = turn - 180 if turn >= 90 else turn + 180 if turn < -90 else turn
    yield (
        f'<text transform="translate({(x + u) / 2:.2f} {(y + v) / 2:.2f}) rotate({turn:.2f})" y="-1.6" font-size="6.5"'
        ' font-family="DejaVu Sans, Arial, sans-serif" text-anchor="middle" fill="#1d4ed8" stroke="white" stroke-width="1.6"'
        f' paint-order="stroke">{words}</text>'
    )


def _seen(place: Sequence[float]) -> tuple[float, float]:
    """Return where a place is on the picture, x to the right and y downwards: parallel lines stay parallel."""
    x, y, z = _SEEN_FROM
    flat, far = hypot(x, y), hypot(x, y, z)
    right = (-y / flat, x / flat, 0)
    above = (-x * z / (flat * far), -y * z / (flat * far), flat / far)
    return _dot(place, right), -_dot(place, above)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))

"""What does the gate box look like? Parametric, with build123d; all lengths are in mm.

A base with posts, and a lid that carries everything a member touches. For 24 V and less, never for mains. Print both
in PETG, 0.2 mm, 4 walls, without support: the base on its back, the lid on its face.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

_DRAWN: Final = datetime(2026, 1, 1, tzinfo=UTC)  # a file that says when it was made changes each time

if TYPE_CHECKING:
    from build123d import Part

INNER: Final = (160.0, 130.0, 68.0)  # 22 mm push-buttons with a contact block need 60 mm behind the lid
WALL: Final = 2.4
LID: Final = 2.0  # the reader reads through it
CORNER: Final = 6.0
GLANDS: Final = (-35.0, 0.0, 35.0)  # M16, in the wall that hangs down
GLAND: Final = 16.5
USB_NOTCH: Final = (14.0, 9.0)  # a plug does not fit through a gland: its cable lies in a notch below the lid
EAR: Final = 14.0
SCREW: Final = 2.6  # M3 cuts its thread
POST: Final = 8.0
#: Where boards are screwed down: middle, distance of their holes, screw, height of the post. The Pi is 65 by 30, the gate
#: board 90 by 70; all places are as a person sees them who stands before the box, from its middle.
PI_ZERO: Final = ((-47.0, 38.0), (58.0, 23.0), 2.1, 6.0)
GATE_BOARD: Final = ((33.0, 20.0), (84.0, 64.0), 2.6, 6.0)
#: Openings of the lid: middle and diameter. The buttons are below the gate board, because they are as deep as the box.
BUTTONS: Final = (((50.0, -36.0), 22.5), ((6.0, -36.0), 22.5))
LIGHT: Final = ((-4.0, 42.0), 8.0)
SOUND: Final = (18.0, 42.0)
WINDOW: Final = ((52.0, 40.0), (32.0, 17.0))  # what a 1.3 inch OLED shows is 30 by 15
CARD: Final = ((-47.0, -4.0), (54.0, 86.0))  # a groove shows where to hold the badge


def base() -> Part:
    """Return the base, open at the top, its floor at z = 0."""
    from build123d import Align, Axis, Box, Cylinder, Pos, Rot, fillet  # noqa: PLC0415 - in an environment of its own

    low = (Align.CENTER, Align.CENTER, Align.MIN)
    length, width, height = INNER
    outer = Box(length + 2 * WALL, width + 2 * WALL, height + WALL, align=low)
    part = fillet(outer.edges().filter_by(Axis.Z), CORNER)
    for x, y in holes((0, 0), (length + 2 * WALL + EAR, width - 40)):  # ears, for screws of 4 mm
        part += Pos(x, y, 0) * Box(2 * EAR, 16, 4, align=low)
        part -= Pos(x + (EAR / 4 if x > 0 else -EAR / 4), y, 0) * Cylinder(2.2, 4, align=low)
    part -= Pos(0, 0, WALL) * Box(length, width, height, align=low)
    for x, y in corners():
        part += Pos(x, y, WALL) * Cylinder(POST / 2, height, align=low)
        part -= Pos(x, y, WALL + height - 15) * Cylinder(SCREW / 2, 15, align=low)
    for middle, distance, screw, tall in (PI_ZERO, GATE_BOARD):
        for x, y in holes(middle, distance):
            part += Pos(x, y, WALL) * Cylinder(3.2, tall, align=low)
            part -= Pos(x, y, 1) * Cylinder(screw / 2, WALL + tall, align=low)
    for x in GLANDS:
        part -= Pos(x, -width / 2 - WALL / 2, 24) * Rot(90, 0, 0) * Cylinder(GLAND / 2, 3 * WALL)
    wide, deep = USB_NOTCH
    part -= Pos(-62, -width / 2 - WALL / 2, WALL + height - deep / 2) * Box(wide, 3 * WALL, deep)
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
    opened = Pos(0, 0, INNER[2] + WALL + 90) * above
    export_step(Compound(children=[below, opened]), str(folder / "enclosure.step"), timestamp=_DRAWN)
    _picture([below, opened], folder / "enclosure.svg")


def _picture(parts: list[Part], path: Path) -> None:
    from build123d import Compound, ExportSVG, Unit  # noqa: PLC0415 - in an environment of its own

    visible, _ = Compound(children=parts).project_to_viewport((-180, -420, 520))
    drawing = ExportSVG(unit=Unit.MM, scale=1, margin=6, line_weight=2)
    drawing.add_layer("visible")
    drawing.add_shape(visible, layer="visible")
    drawing.write(str(path))
    # A white ground: black lines are not seen on the dark pages of a forge.
    text = path.read_text("utf-8")
    (place,) = re.findall(r'viewBox="([^"]+)"', text)
    x, y, wide, high = place.split()
    ground = f'<rect x="{x}" y="{y}" width="{wide}" height="{high}" fill="white" />'
    path.write_text(re.sub(r"(<svg[^>]*>)", rf"\1{ground}", text, count=1), "utf-8")

"""The dots that an emulated display shows, and the SVG path that draws them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from fabgate.drivers.emulated.displays.lcd_chip import LcdChip
from fabgate.drivers.emulated.displays.oled_chip import WIDTH, OledChip

#: A character of an LCD has five by eight dots, and there is room for one dot between two of them.
CELL_WIDTH: Final = 6
CELL_HEIGHT: Final = 9


class Frame(NamedTuple):
    """Rows of dots as bits, the highest at the left; `is_lit` is whether there is light on them."""

    width: int
    rows: Sequence[int]
    is_lit: bool

    def strokes(self) -> str:
        """Return the dots as lines of an SVG path, one unit thick, whose middle is half a unit below their row."""
        return "".join(
            f"M{dots.start()} {y}h{dots.end() - dots.start()}"
            for y, row in enumerate(self.rows)
            if row
            for dots in re.finditer("1+", f"{row:0{self.width}b}")
        )


def frame_of(chip: LcdChip | OledChip) -> Frame:
    """Return what the display of a chip shows."""
    if isinstance(chip, OledChip):
        rows = chip.rows
        return Frame(WIDTH, rows, any(rows))
    width = chip.columns * CELL_WIDTH - 1
    rows = [0] * (chip.rows * CELL_HEIGHT - 1)
    for line, codes in enumerate(chip.codes):
        for at, code in enumerate(codes):
            for y, dots in enumerate(chip.glyph(code), line * CELL_HEIGHT):
                rows[y] |= dots << (width - 5 - at * CELL_WIDTH)
    return Frame(width, rows, chip.is_lit)

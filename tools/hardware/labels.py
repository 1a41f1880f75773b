"""Which labels does a build want? A sheet of A4 to print, cut and stick: boxes, devices, and both ends of each wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tools.hardware import builds
from tools.hardware.builds import HARDWARE, Build

_FONTS: Final = HARDWARE.parent / "fabgate" / "collector" / "paper" / "fonts"
_WIDE, _HIGH, _COLUMNS = 47.0, 8.0, 4
_MARGIN: Final = 11.0


def safety_words(box: str = "enclosure") -> str:
    """Return what safety.md wants on the enclosure, or on the power box."""
    page = (HARDWARE / "safety.md").read_text("utf-8")
    _, _, part = page.partition(f"## On the {box}\n")
    return " ".join(re.findall(r"^> (.*)$", part.partition("\n## ")[0], re.MULTILINE))


def devices(build: Build) -> list[tuple[str, str]]:
    """Return the name of each device, of the gate board and of its relay, and what each is."""
    found = [(device.name, device.text) for device in build.devices.values()]
    return found + ([("A3", "gate board"), ("K1", "relay on the gate board")] if builds.board_of(build) else [])


def ends(build: Build) -> list[tuple[str, str, str]]:
    """Return the label of each end of each wire: its mark, where this end goes, and where the other is."""
    found = []
    for wire in build.wires():
        found += [(wire.name, str(wire.start), str(wire.end)), (wire.name, str(wire.end), str(wire.start))]
    return found


def write(build: Build, path: Path) -> None:
    """Write the labels of a build as PDF."""
    from fpdf import FPDF  # noqa: PLC0415 - in an environment of its own

    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2026, 1, 1, tzinfo=UTC))
    pdf.set_margins(_MARGIN, _MARGIN, _MARGIN)
    pdf.set_auto_page_break(False)
    pdf.set_title(f"Labels: {build.title}")
    for style, name in (("", "Regular"), ("B", "Bold")):
        pdf.add_font("Roboto", style, _FONTS / f"Roboto-{name}.ttf")
    pdf.add_page()
    pdf.set_draw_color(190, 190, 190)
    _heading(pdf, f"Labels: {build.title}. Print at 100 percent, cut along the lines.")
    _boxes(pdf)
    if "F1" in build.devices:
        _warning(pdf)
    _heading(pdf, "Devices")
    _grid(pdf, [(name, text, "") for name, text in devices(build)])
    _heading(pdf, "Wires: the mark and this end in bold, then the other end")
    _grid(pdf, ends(build))
    pdf.output(str(path))


def _heading(pdf: Any, words: str) -> None:
    pdf.ln(2)
    pdf.set_font("Roboto", "B", 9)
    pdf.cell(0, 6, words, new_x="LMARGIN", new_y="NEXT")


def _boxes(pdf: Any) -> None:
    """Draw what sticks on the enclosure: safety.md's words, and the machine's name to write."""
    x, y = pdf.get_x(), pdf.get_y()
    pdf.rect(x, y, _COLUMNS * _WIDE, 24)
    pdf.set_xy(x + 3, y + 2)
    pdf.set_font("Roboto", "B", 11)
    pdf.multi_cell(_COLUMNS * _WIDE - 6, 5.2, safety_words(), align="L")
    pdf.set_xy(x + 3, y + 16)
    pdf.set_font("Roboto", "", 9)
    pdf.cell(
        0, 5, "Machine: ______________________   Gate: ______________________   Main switch: ______________________"
    )
    pdf.set_xy(x, y + 24)


def _warning(pdf: Any) -> None:
    """Draw what sticks on the power box, in the yellow of a warning."""
    x, y = pdf.get_x(), pdf.get_y() + 2
    pdf.set_fill_color(255, 221, 0)
    pdf.rect(x, y, _COLUMNS * _WIDE, 20, style="DF")
    pdf.set_xy(x + 3, y + 2)
    pdf.set_font("Roboto", "B", 11)
    pdf.multi_cell(_COLUMNS * _WIDE - 6, 5.2, safety_words("power box"), align="L")
    pdf.set_xy(x, y + 20)


def _grid(pdf: Any, labels: list[tuple[str, str, str]]) -> None:
    left, column = pdf.l_margin, 0
    y = pdf.get_y()
    for mark, here, there in labels:
        if column == _COLUMNS:
            column, y = 0, y + _HIGH
        if y + _HIGH > pdf.h - _MARGIN:
            pdf.add_page()
            pdf.set_draw_color(190, 190, 190)
            column, y = 0, pdf.get_y()
        x = left + column * _WIDE
        pdf.rect(x, y, _WIDE, _HIGH)
        _one(pdf, x + 1.5, y, mark, here, there)
        column += 1
    pdf.set_xy(left, y + _HIGH)


def _one(pdf: Any, x: float, y: float, mark: str, here: str, there: str) -> None:
    pdf.set_xy(x, y)
    pdf.set_font("Roboto", "B", 9)
    pdf.cell(12, _HIGH, mark)
    if there:
        pdf.cell(15, _HIGH, here)
        pdf.set_font("Roboto", "", 8)
        pdf.cell(18, _HIGH, f"to {there}")
        return
    pdf.set_font("Roboto", "", 7)
    words = here
    while pdf.get_string_width(words) > 2 * (_WIDE - 15):
        words = words.rpartition(" ")[0]
    lines = pdf.multi_cell(_WIDE - 13, 2.8, words, align="L", dry_run=True, output="LINES")
    pdf.set_xy(x + 11, y + (_HIGH - 2.8 * len(lines)) / 2)
    pdf.multi_cell(_WIDE - 13, 2.8, words, align="L")

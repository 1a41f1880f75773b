"""Which labels does a build want? A sheet of A4 to print, cut and stick: boxes, devices, and both ends of each wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tools.hardware import builds, live
from tools.hardware.builds import HARDWARE, Build

_FONTS: Final = HARDWARE.parent / "fabgate" / "collector" / "money" / "paper" / "fonts"
_WIDE, _HIGH, _COLUMNS = 47.0, 8.0, 4
_MARGIN: Final = 11.0
_YELLOW: Final = (255, 221, 0)  # of a warning
#: The plate of a control panel and its ratings (IEC 60204-1, 16.4), for the electrician to fill in.
_PLATE: Final = ["Power box / Coffret de puissance (IEC 60204-1, 16.4)"]
_RATINGS: Final = (
    "Built by / Réalisé par",
    "Type",
    "Serial number / N° de série",
    "Date",
    "V, phases, Hz",
    "Full-load current / Courant nominal",
    "Short-circuit rating / Icc max",
    "Drawings / Schémas",
    "RCD / Différentiel",
)
#: Capacitors of a frequency converter stay charged (IEC 60204-1, 6.2.4): for the electrician to fill in.
_WAIT: Final = ("With a frequency converter, wait before opening / Avec variateur, attendre avant d\u2019ouvrir (min)",)


#: Where each language has the words that stick on the boxes, under which title, and what it calls wires.
_PAGES: Final = {
    "en": (
        "safety.md",
        {"enclosure": "On the enclosure", "power box": "On the power box", "machine": "In the machine"},
        "wires",
    ),
    "fr": (
        "safety.fr.md",
        {"enclosure": "Sur le boîtier", "power box": "Sur le coffret de puissance", "machine": "Dans la machine"},
        "fils",
    ),
}


def stays_live(build: Build, lang: str = "en") -> str:
    """Return what stays live in a build with the main switch off, as its label and the pages about safety list it."""
    return f"{', '.join(live.devices(build))}, {_PAGES[lang][2]} {', '.join(live.cables(build))}"


def safety_words(build: Build, box: str, lang: str = "en") -> str:
    """Return what the page about safety wants on a box; on the power box, with what stays live in this build."""
    name, titles, _ = _PAGES[lang]
    page = (HARDWARE / name).read_text("utf-8")
    _, _, part = page.partition(f"## {titles[box]}\n")
    words = " ".join(re.findall(r"^> (.*)$", part.partition("\n## ")[0], re.MULTILINE))
    if box == "power box":
        words = words.replace("…", stays_live(build, lang))
    return re.sub(r" (?=[:;])", "\u00a0", words)  # French has a space there that no line ends at


def stickers(build: Build) -> dict[str, list[str]]:
    """Return the words on each box of a build, and in its machine, in each language: a warning that is not read does not warn."""
    boxes = ["enclosure", *(["power box", "machine"] if build.live else [])]
    return {box: [safety_words(build, box, lang) for lang in _PAGES] for box in boxes}


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
    words = stickers(build)
    _sticker(pdf, words["enclosure"], fields=("Machine", "Gate / Boîtier", "Main switch / Interrupteur général"))
    if "power box" in words:
        pdf.ln(2)
        _sticker(pdf, words["power box"], fields=_WAIT, fill=_YELLOW)
        pdf.ln(2)
        _sticker(pdf, _PLATE, fields=_RATINGS)
        for _ in ("S0", "S3"):
            pdf.ln(2)
            _sticker(pdf, words["machine"])
    _heading(pdf, "Devices")
    _grid(pdf, [(name, text, "") for name, text in devices(build)])
    _heading(pdf, "Wires: the mark and this end in bold, then the other end")
    _grid(pdf, ends(build))
    pdf.output(str(path))


def _heading(pdf: Any, words: str) -> None:
    pdf.ln(2)
    pdf.set_font("Roboto", "B", 9)
    pdf.cell(0, 6, words, new_x="LMARGIN", new_y="NEXT")


def _sticker(
    pdf: Any, texts: list[str], *, fields: tuple[str, ...] = (), fill: tuple[int, int, int] | None = None
) -> None:
    """Draw what sticks on a box: its words in each language, and fields to fill in by hand; on yellow, the sign of voltage."""
    pdf.set_font("Roboto", "B", 11)
    inset = 25 if fill else 3
    wide = _COLUMNS * _WIDE - inset - 3
    lines = sum(len(pdf.multi_cell(wide, 5.2, text, align="L", dry_run=True, output="LINES")) for text in texts)
    rows = [fields[start : start + 3] for start in range(0, len(fields), 3)]
    x, y = pdf.get_x(), pdf.get_y()
    high = 5.2 * lines + 1.5 * (len(texts) - 1) + 5 + (6.5 * len(rows) + 1 if rows else 0)
    if fill:
        pdf.set_fill_color(*fill)
    pdf.rect(x, y, _COLUMNS * _WIDE, high, style="DF" if fill else "D")
    if fill:
        _voltage(pdf, x + 4, y + (high - 16) / 2)
    pdf.set_xy(x + inset, y + 2.5)
    for text in texts:
        pdf.set_x(x + inset)
        pdf.multi_cell(wide, 5.2, text, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(1.5)
    pdf.set_font("Roboto", "", 8)
    for number, row in enumerate(rows):
        step = (_COLUMNS * _WIDE - inset - 0.5) / len(row)
        for column, field in enumerate(row):
            left, level = x + inset + column * step, y + high - 6.5 * (len(rows) - number)
            pdf.set_xy(left, level)
            pdf.cell(0, 5, field)
            pdf.line(left + pdf.get_string_width(field) + 2.5, level + 4.2, left + step - 2.5, level + 4.2)
    pdf.set_xy(x, y + high)


def _voltage(pdf: Any, x: float, y: float) -> None:
    """Draw the sign of voltage, W012 of ISO 7010: a flash in a triangle, 18 mm wide and 16 mm high."""
    pdf.set_draw_color(0, 0, 0)
    pdf.set_fill_color(0, 0, 0)
    pdf.polygon([(x, y + 16), (x + 9, y), (x + 18, y + 16)], style="DF")
    pdf.set_fill_color(*_YELLOW)
    pdf.polygon([(x + 2.6, y + 14.5), (x + 9, y + 3.1), (x + 15.4, y + 14.5)], style="F")
    pdf.set_fill_color(0, 0, 0)
    flash = [
        (9.9, 5.4),
        (6.9, 9.6),
        (8.9, 9.4),
        (7.6, 11.7),
        (6.7, 11.2),
        (7.2, 13.9),
        (9.6, 12.6),
        (8.6, 12.2),
        (10.9, 8.3),
        (8.9, 8.5),
    ]
    pdf.polygon([(x + u, y + v) for u, v in flash], style="F")
    pdf.set_draw_color(190, 190, 190)


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

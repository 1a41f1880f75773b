"""The commissioning sheet of a machine as PDF, to sign: what a self-test found, and what is left to do by hand.

The rows come from hardware/commissioning.md as shipped, or from its translation. Needs fpdf2 (``fabgate[sheet]``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import fabgate
from fabgate import installed
from fabgate.doctor.shipped import shipped
from fabgate.errors import UsageError
from fabgate.phrases import Phrases, phrases

#: Letters of most languages; the files belong to the statements of the collector, in the same package.
_FONTS: Final = Path(fabgate.__file__).with_name("collector") / "money" / "paper" / "fonts"
#: The page with the rows, in each language that has one.
_PAGES: Final = {"en": "hardware/commissioning.md", "fr": "hardware/commissioning.fr.md"}
_INK, _SOFT, _RULE, _WASH = (28, 37, 46), (85, 96, 107), (222, 219, 210), (246, 245, 241)
_ACCENT, _BAD = (13, 92, 108), (160, 40, 30)
_TESTED: Final = (38, 72, 24, 46)
_BY_HAND: Final = (8, 86, 74, 12)
Cells = Sequence[str]


def ready(path: Path) -> None:
    """Raise UsageError where no sheet could be written to `path`, before a person works for an hour."""
    try:
        import fpdf  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise UsageError(f"--sheet needs fpdf2: {installed.library('fpdf', 'fabgate[sheet]')} ({error})") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--sheet: found {path}, wanted a file in a folder that can be written")


def write(
    path: Path, facts: Iterable[tuple[str, str]], tested: Iterable[Cells], *, made_at: datetime, lang: str
) -> None:
    """Write the sheet in a language. `tested` has the step, what is expected, the result, and what was observed.

    Raises OSError.
    """
    body = document(facts, tested, made_at=made_at, lang=lang)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(body)
    fresh.replace(path)


def document(
    facts: Iterable[tuple[str, str]], tested: Iterable[Cells], *, made_at: datetime, lang: str = "en"
) -> bytes:
    """Return the sheet as PDF."""
    from fpdf import FPDF  # noqa: PLC0415 - an extra

    said = phrases(lang)
    pdf = FPDF(format="A4")
    pdf.set_margins(15, 15, 15)
    pdf.set_auto_page_break(True, 18)
    pdf.set_creation_date(made_at)
    pdf.set_title(said("Commissioning"))
    pdf.set_lang(lang)
    for style, name in (("", "Regular"), ("B", "Bold")):
        pdf.add_font("Roboto", style, _FONTS / f"Roboto-{name}.ttf")
    pdf.add_page()
    _write(pdf, said("Commissioning"), 18, bold=True, colour=_ACCENT)
    for name, value in facts:
        pdf.set_font("Roboto", "", 10)
        pdf.set_text_color(*_SOFT)
        pdf.cell(38, 5.4, said(name))
        pdf.set_text_color(*_INK)
        pdf.multi_cell(0, 5.4, value, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(3)
    page = shipped(_PAGES.get(lang, _PAGES["en"])) or ""
    _notes(pdf, introduction(page))
    _heading(pdf, said("Self-test"))
    bad = {said("failed"), said("not done")}
    labels = [said(label) for label in ("step", "expected", "result", "observed")]
    _table(pdf, labels, [[said(cell) for cell in row] for row in tested], _TESTED, bad=bad)
    for part in parts(page):
        _heading(pdf, part.title)
        _notes(pdf, part.before)
        _table(pdf, ["", said("do"), said("expected"), "ok"], part.rows, _BY_HAND, has_bold=True)
        pdf.ln(1.5)
        _notes(pdf, part.after)
    _signatures(pdf, said)
    return bytes(pdf.output())


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the page with rows to tick: what is written before and after them says when they apply, and in which state."""

    title: str
    before: list[str]
    rows: list[Cells]
    after: list[str]


def introduction(page: str) -> list[str]:
    """Return the paragraphs in front of the first part, but for the heading, links and fields to fill in."""
    texts = re.sub(r"^(?:#.*|\[[^]]*]\([^)]*\)|.*____.*)$", "", page.partition("\n## ")[0], flags=re.MULTILINE)
    return _paragraphs(texts)


def parts(page: str) -> Iterator[Part]:
    """Yield each part of the page with rows that end with a box to tick."""
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        before, *tables = re.split(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
        lines = (line.strip() for line in text.splitlines() if line.endswith("☐ |"))
        rows = [[_plain(cell) for cell in line.strip("|").split(" | ")] for line in lines]
        if rows:
            after = [note for table in tables for note in _paragraphs(table)]
            yield Part(title, _paragraphs(before), [[*row[:3], ""] for row in rows], after)


def _paragraphs(text: str) -> list[str]:
    return [_plain(" ".join(lines.split())) for lines in text.split("\n\n") if lines.strip()]


def _notes(pdf: Any, texts: Iterable[str]) -> None:
    for text in texts:
        pdf.set_font("Roboto", "", 9)
        pdf.set_text_color(*_INK)
        pdf.multi_cell(0, 4.6, text, align="L", markdown=True, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(1.5)


def _plain(cell: str) -> str:
    """Return a text of the page without links and code; ``**`` around words stays: they are warnings, and are printed bold."""
    text = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", cell).replace("`", "").strip()
    text = re.sub(r"(?<!\*)\*(\w+)\*(?!\*)", r"\1", text)
    return re.sub(r" (?=[:;!?»])|(?<=«) ", "\u00a0", text)  # French has spaces there that no line ends at


def _write(pdf: Any, text: str, size: float, *, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
    pdf.set_font("Roboto", "B" if bold else "", size)
    pdf.set_text_color(*colour)
    pdf.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(1.5)


def _heading(pdf: Any, text: str) -> None:
    if pdf.will_page_break(30):
        pdf.add_page()
    pdf.ln(3)
    _write(pdf, text, 12, bold=True, colour=_ACCENT)


def _table(
    pdf: Any,
    labels: Cells,
    rows: Iterable[Cells],
    widths: Sequence[int],
    *,
    bad: Collection[str] = frozenset(),
    has_bold: bool = False,
) -> None:
    """Draw a table. `bad` has the cells that are red; `has_bold` says that ``**`` around words makes them bold."""
    from fpdf import FontFace  # noqa: PLC0415 - an extra

    pdf.set_font("Roboto", "", 8.5)
    pdf.set_text_color(*_INK)
    pdf.set_draw_color(*_RULE)
    head = FontFace(emphasis="BOLD", color=_SOFT, fill_color=_WASH)
    with pdf.table(
        col_widths=widths,
        text_align="LEFT",
        headings_style=head,
        line_height=4.6,
        padding=0.8,
        borders_layout="ALL",
        markdown=has_bold,
    ) as table:
        table.row(labels)
        for cells in rows:
            row = table.row()
            for cell in cells:
                row.cell(cell, style=FontFace(emphasis="BOLD", color=_BAD) if cell in bad else None)


def _signatures(pdf: Any, said: Phrases) -> None:
    if pdf.will_page_break(40):
        pdf.add_page()
    pdf.ln(6)
    _write(pdf, said("If a step failed or was not done, do not put the machine into service."), 10, bold=True)
    pdf.ln(12)
    pdf.set_draw_color(*_SOFT)
    for label in ("Date", "Name", "Signature"):
        x, y = pdf.get_x(), pdf.get_y()
        pdf.line(x, y, x + 54, y)
        pdf.set_font("Roboto", "", 8)
        pdf.set_text_color(*_SOFT)
        pdf.cell(60, 5, said(label))
    pdf.ln(8)
    _write(pdf, f"fabgate {fabgate.__version__}", 8, colour=_SOFT)

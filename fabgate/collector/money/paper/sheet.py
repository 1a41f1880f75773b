"""A document on A4 pages: letterhead, recipient, headings, paragraphs, pairs of words, and tables.

The same calls always make the same bytes with the same versions of the libraries: nothing reads the clock. All texts may
have Latin, Greek and Cyrillic letters (fonts/README.md).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import Final, NamedTuple

from django.utils.translation import get_language
from django.utils.translation import gettext as _
from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos
from fpdf.fonts import TTFFont

from fabgate.collector.money.paper.letterhead import Letterhead

_FONTS: Final = Path(__file__).with_name("fonts")
_FONT: Final = "Roboto"
#: In millimetres. The recipient's address is in the window of an envelope: on the right in France (NF Z 10-011), on the
#: left elsewhere (DIN 5008, BS 1808).
_LEFT, _RIGHT, _TOP, _BOTTOM = 20.0, 15.0, 15.0, 18.0
_WINDOW_TOP, _WINDOW_HEIGHT, _WINDOW_RIGHT = 46.0, 40.0, 112.0
_LINE, _ROW, _PAD, _GAP = 5.0, 5.4, 1.2, 4.0
#: The least width of the labels of `facts`.
_LABEL: Final = 42.0
#: The side of a module of a QR code, and the most of the whole code, which is the width of its label: at the most modules
#: that one of a statement has, 69, each has half a millimetre.
_MODULE, _CODE = 0.64, 36.0
#: A line of a note.
_NOTE: Final = 4.0
#: The colours of the pages by day (static/tokens.css).
_INK, _SOFT, _ACCENT, _RULE, _WASH = (28, 37, 46), (85, 96, 107), (13, 92, 108), (222, 219, 210), (246, 245, 241)
_SIZE: Final = 9.0
#: In the place of a character that the font does not have, such as Arabic or Chinese.
_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"


class Column(NamedTuple):
    """A column of a table. `width` is a share of the page's width; numbers are aligned to the right."""

    label: str
    width: float
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table, and notes beneath it, each on lines of its own."""

    cells: Sequence[str]
    notes: Sequence[str] = ()


class Heading(NamedTuple):
    """A heading over rows. It is never the last line of a page. One of a lower level has less weight."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Sum:
    """A row with a sum, under a line. The last one of a document has more weight."""

    cells: Sequence[str]
    is_last: bool = False


class Sheet:
    """A document, written from top to bottom. `title` is its name in viewers, `footer` is at the foot of each page.

    Texts of its own are in the active language.
    """

    def __init__(self, letterhead: Letterhead, *, title: str, footer: str, made_at: datetime) -> None:
        self._pdf = _Pages(letterhead.name, footer)
        self._pdf.set_title(title)
        self._pdf.set_author(letterhead.name)
        self._pdf.set_lang(get_language() or "en")
        self._pdf.set_creation_date(made_at)
        self._pdf.add_page()
        self._letterhead(letterhead)

    def recipient(self, lines: Iterable[str]) -> None:
        """Write an address where the window of an envelope shows it."""
        x = _WINDOW_RIGHT if (get_language() or "").startswith("fr") else _LEFT
        pdf, top = self._pdf, max(_WINDOW_TOP, self._pdf.get_y())
        pdf.style(10)
        pdf.set_xy(x, top)
        for line in lines:
            pdf.set_x(x)
            pdf.multi_cell(75, _LINE, pdf.shown(line), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.set_xy(_LEFT, max(top + _WINDOW_HEIGHT, pdf.get_y() + _LINE))

    def title(self, text: str, beneath: str = "") -> None:
        """Write the document's title, and a line beneath it."""
        self._pdf.style(18, bold=True, colour=_INK)
        self._text(text, 8)
        if beneath:
            self._pdf.style(10.5, colour=_SOFT)
            self._text(beneath, 6)
        self._pdf.ln(2.5)

    def heading(self, text: str, *, code: Sequence[Sequence[int]] = ()) -> None:
        """Write a heading. On its page are the labels, a row and a sum of a table, or the QR code, that follow it."""
        self._need(2 * _LINE + (_room_of(code) if code else 2 * _ROW + _SUM))
        self._pdf.ln(2)
        self._pdf.style(12, bold=True, colour=_ACCENT)
        self._text(text, 6)
        self._pdf.ln(0.5)

    def paragraph(self, text: str, *, is_soft: bool = False) -> None:
        """Write a paragraph; a soft one is small print."""
        self._pdf.style(8 if is_soft else 10, colour=_SOFT if is_soft else _INK)
        self._text(text, 4 if is_soft else _LINE)
        self._pdf.ln(1.5)

    def facts(
        self,
        pairs: Iterable[tuple[str, str]],
        sentences: Iterable[str] = (),
        *,
        code: Sequence[Sequence[int]] = (),
        code_label: str = "",
    ) -> None:
        """Write pairs of a label and a value, one on a line, then sentences; at their right a QR code with its label.

        The code is given row by row.
        """
        pdf, pairs = self._pdf, list(pairs)
        pdf.style(_SIZE, colour=_SOFT)
        width = max([_LABEL, *(pdf.get_string_width(pdf.shown(label)) + 4 for label, _value in pairs)])
        if code:
            self._need(_room_of(code))
        page, top = pdf.page_no(), pdf.get_y()
        below = self._code(code, code_label, top) if code else top
        beside = pdf.epw - _CODE - _GAP if code else pdf.epw
        pdf.set_xy(_LEFT, top)
        for label, value in pairs:
            pdf.style(_SIZE, colour=_SOFT)
            pdf.cell(width, _LINE, pdf.shown(label))
            pdf.style(_SIZE, colour=_INK)
            self._text(value, _LINE, beside - width)
        for number, sentence in enumerate(sentences):
            pdf.ln(1.5 if number else 2.5)
            pdf.style(10)
            self._text(sentence, _LINE, beside)
        if pdf.page_no() == page:
            pdf.set_y(max(pdf.get_y(), below))
        pdf.ln(2.5)

    def _code(self, code: Sequence[Sequence[int]], label: str, top: float) -> float:
        """Draw a QR code at the right, its label below it; return where that ends. Its quiet zone is the white around it."""
        pdf = self._pdf
        side = _side_of(code)
        size, left = side / len(code), pdf.w - _RIGHT - _CODE
        pdf.set_fill_color(0, 0, 0)
        for number, row in enumerate(code):
            place = 0
            for is_dark, modules in groupby(row):
                count = len(list(modules))
                if is_dark:  # a little higher than its row, or else viewers show white lines between rows
                    pdf.rect(left + place * size, top + number * size, count * size, size * 1.02, style="F")
                place += count
        pdf.style(8, colour=_SOFT)
        pdf.set_xy(left, top + side + 1)
        pdf.multi_cell(_CODE, _NOTE - 0.5, pdf.shown(label), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        return pdf.get_y()

    def table(self, columns: Sequence[Column], rows: Iterable[TableRow | Heading | Sum]) -> None:
        """Write a table; on each further page its column labels are repeated."""
        _Table(self._pdf, columns).write(rows)
        self._pdf.ln(2.5)

    def __bytes__(self) -> bytes:
        """Return the document as PDF. Nothing can be written afterwards."""
        return bytes(self._pdf.output())

    def _letterhead(self, letterhead: Letterhead) -> None:
        pdf = self._pdf
        pdf.set_fill_color(*_ACCENT)
        pdf.rect(_LEFT, _TOP - 3, pdf.epw, 0.9, style="F")
        pdf.style(13, bold=True, colour=_ACCENT)
        self._text(letterhead.name, 7)
        pdf.style(8, colour=_SOFT)
        for line in letterhead.lines:
            self._text(line, 3.9)
        pdf.ln(4)

    def _text(self, text: str, height: float, width: float = 0) -> None:
        """Write a text in lines of a height and a width; 0 is up to the margin."""
        self._pdf.multi_cell(width, height, self._pdf.shown(text), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _need(self, height: float) -> None:
        if self._pdf.will_page_break(height):
            self._pdf.add_page()


def _side_of(code: Sequence[Sequence[int]]) -> float:
    """Return the side of a QR code."""
    return min(_CODE, _MODULE * len(code))


def _room_of(code: Sequence[Sequence[int]]) -> float:
    """Return the height of a QR code with its label."""
    return _side_of(code) + 3 * _NOTE


class _Pages(FPDF):
    """The pages, with our font, and the header and footer of each."""

    def __init__(self, name: str, footer: str) -> None:
        super().__init__(format="A4")
        for style, file in (("", "Roboto-Regular.ttf"), ("B", "Roboto-Bold.ttf")):
            self.add_font(_FONT, style, _FONTS / file)
        font = self.fonts[_FONT.lower()]
        assert isinstance(font, TTFFont)
        self._known = frozenset(font.cmap)
        self._name, self._footer = self.shown(name), self.shown(footer)
        self.set_margins(_LEFT, _TOP, _RIGHT)
        self.set_auto_page_break(True, _BOTTOM)
        self.style(10)

    def shown(self, text: str) -> str:
        """Return a text as the font can show it: a letter and its accents as one, and nothing that it does not have."""
        letters = unicodedata.normalize("NFC", text)
        return "".join(letter if ord(letter) in self._known or letter == "\n" else _UNKNOWN for letter in letters)

    def style(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        """Choose how the next text looks."""
        self.set_font(_FONT, "B" if bold else "", size)
        self.set_text_color(*colour)

    def header(self) -> None:
        """Write the workshop's name above each further page."""
        if self.page_no() > 1:
            self.style(8, colour=_SOFT)
            self.cell(0, 4, self._name, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.rule(self.get_y() + 1)
            self.ln(5)

    def footer(self) -> None:
        """Write the document's name and the page's number below each page."""
        self.set_y(-15)
        self.style(8, colour=_SOFT)
        self.cell(self.epw - 30, 4, self._footer)
        # "{nb}" is as wide as the number in its place is narrow, so the line begins at a fixed point.
        self.set_x(self.w - _RIGHT - 20)
        self.cell(20, 4, _("Page %(page)s of %(pages)s") % {"page": self.page_no(), "pages": "{nb}"}, align=Align.L)

    def rule(self, y: float, colour: tuple[int, int, int] = _RULE, width: float = 0.25) -> None:
        """Draw a line from margin to margin."""
        self.set_draw_color(*colour)
        self.set_line_width(width)
        self.line(_LEFT, y, self.w - _RIGHT, y)


#: The most that a sum of one line needs, in mm.
_SUM: Final = _ROW + 2.3


class _Table:
    """A table of a document."""

    def __init__(self, pdf: _Pages, columns: Sequence[Column]) -> None:
        whole = sum(column.width for column in columns)
        self._pdf, self._columns = pdf, columns
        self._widths = [column.width / whole * pdf.epw for column in columns]

    def write(self, rows: Iterable[TableRow | Heading | Sum]) -> None:
        """Write all rows. Headings wait for the row beneath them, and sums stay on the page of the row above them."""
        waiting: list[Heading] = []
        shown: list[Heading] = []
        self._labels()
        all_rows = list(rows)
        for place, row in enumerate(all_rows):
            if isinstance(row, Heading):
                waiting.append(row)
                continue
            lines = self._wrapped(row.cells, bold=isinstance(row, Sum))
            notes = self._noted(row)
            height = self._height(lines) + len(notes) * _NOTE
            height += sum(_height_of(heading) for heading in waiting)
            if isinstance(row, TableRow):
                sums = takewhile(lambda one: isinstance(one, Sum), islice(all_rows, place + 1, None))
                height += sum(_SUM for _sum in sums)
            if self._pdf.will_page_break(height):
                self._pdf.add_page()
                self._labels()
                self._again(_over(shown, waiting))
            for heading in waiting:
                self._heading(heading)
            shown = _over([*shown, *waiting], [])
            waiting.clear()
            self._row(row, lines, notes)
        for heading in waiting:
            self._heading(heading)

    def _labels(self) -> None:
        pdf = self._pdf
        pdf.style(8, colour=_SOFT)
        lines = self._wrapped([column.label for column in self._columns])
        height = self._height(lines)
        pdf.set_fill_color(*_WASH)
        pdf.rect(_LEFT, pdf.get_y(), pdf.epw, height, style="F")
        self._cells(lines)

    def _heading(self, heading: Heading) -> None:
        pdf, is_first = self._pdf, heading.level == 1
        pdf.ln(2.4 if is_first else 1.2)
        pdf.style(10 if is_first else _SIZE, bold=True, colour=_ACCENT if is_first else _INK)
        pdf.cell(0, _ROW, pdf.shown(heading.text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _again(self, headings: Sequence[Heading]) -> None:
        """Repeat on a further page the headings to which its rows belong."""
        if headings:
            self._pdf.style(8, colour=_SOFT)
            text = self._pdf.shown(" · ".join(heading.text for heading in headings))
            self._pdf.cell(0, _ROW, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _noted(self, row: TableRow | Sum) -> list[str]:
        """Return the lines of a row's notes: they begin below its second cell."""
        if isinstance(row, Sum):
            return []
        pdf = self._pdf
        pdf.style(8, colour=_SOFT)
        found: list[str] = []
        for note in row.notes:
            width = pdf.epw - self._widths[0]
            lines = pdf.multi_cell(
                width, _NOTE, pdf.shown(note), align=Align.L, dry_run=True, output=MethodReturnValue.LINES
            )
            assert isinstance(lines, list)
            found.extend(line.strip() for line in lines)
        return found

    def _row(self, row: TableRow | Sum, lines: list[list[str]], notes: Sequence[str]) -> None:
        pdf = self._pdf
        if isinstance(row, Sum):
            is_last = row.is_last
            pdf.ln(1.5 if is_last else 0)
            pdf.rule(pdf.get_y(), _ACCENT if is_last else _RULE, 0.5 if is_last else 0.25)
            pdf.ln(0.8 if is_last else 0)
            pdf.style(_SIZE + 1.5 if is_last else _SIZE, bold=True, colour=_INK)
            self._cells(lines)
            return
        pdf.style(_SIZE, colour=_INK)
        self._cells(lines)
        pdf.style(8, colour=_SOFT)
        for note in notes:
            pdf.set_x(_LEFT + self._widths[0])
            pdf.cell(0, _NOTE, note, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _cells(self, lines: list[list[str]]) -> None:
        """Write cells, each of some lines, next to each other."""
        pdf, top, x = self._pdf, self._pdf.get_y(), _LEFT
        for column, width, texts in zip(self._columns, self._widths, lines, strict=True):
            for number, text in enumerate(texts):
                pdf.set_xy(x, top + number * (_ROW - 1))
                pdf.cell(self._room(column, width), _ROW, text, align=Align.R if column.is_number else Align.L)
            x += width
        pdf.set_xy(_LEFT, top + self._height(lines))

    def _wrapped(self, cells: Sequence[str], *, bold: bool = False) -> list[list[str]]:
        """Return the lines of each cell; most have one."""
        pdf = self._pdf
        pdf.style(_SIZE, bold=bold)
        found = []
        for place, (column, whole, cell) in enumerate(zip(self._columns, self._widths, cells, strict=True)):
            text, width = pdf.shown(cell), self._room(column, whole)
            if bold and not column.is_number:  # the text of a sum may use the empty cells behind it
                width += sum(self._widths[place + 1 : place + 1 + _empty(cells[place + 1 :])])
            if pdf.get_string_width(text) <= width - 2 * _PAD:
                found.append([text])
                continue
            lines = pdf.multi_cell(width, _ROW, text, align=Align.L, dry_run=True, output=MethodReturnValue.LINES)
            assert isinstance(lines, list)
            found.append([line.strip() for line in lines])
        return found

    def _room(self, column: Column, width: float) -> float:
        """Return the width of a cell's text: between a number and the next column is some space."""
        return width - _GAP if column.is_number and column is not self._columns[-1] else width

    def _height(self, lines: list[list[str]]) -> float:
        return _ROW + (max(map(len, lines)) - 1) * (_ROW - 1)


def _empty(cells: Sequence[str]) -> int:
    """Return how many of the first cells are empty."""
    return len(list(takewhile(lambda cell: not cell, cells)))


def _height_of(heading: Heading) -> float:
    return _ROW + (2.4 if heading.level == 1 else 1.2)


def _over(shown: Sequence[Heading], waiting: Sequence[Heading]) -> list[Heading]:
    """Return the headings of `shown` that also apply to the next row: the last of each level above the next row's level."""
    over: list[Heading] = []
    for heading in shown:
        over = [*(one for one in over if one.level < heading.level), heading]
    return [one for one in over if not waiting or one.level < waiting[0].level]

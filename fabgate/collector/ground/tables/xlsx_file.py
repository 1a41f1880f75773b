"""Writes tables as XLSX: each a sheet with numbers, dates and durations as such.

Its dates have no zone, so local moments stay local. Rows are written as they arrive (XlsxWriter's constant_memory).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from datetime import date
from typing import IO, Any, Final
from xml.sax.saxutils import escape

import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

from fabgate.collector.ground.tables.table import (
    DAY,
    DECIMAL,
    DURATION,
    MOMENT,
    NUMBER,
    PLAIN,
    TEXT,
    Cached,
    Table,
    by_column,
)

_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: Spreadsheets read ``_x0041_`` as "A", so such text is escaped.
_ESCAPE_CODE: Final = re.compile("_x[0-9A-Fa-f]{4}_")
#: Characters that have to be escaped in a sheet; most texts have none.
_SPECIAL: Final = re.compile(r"[&<>_\s\x00-\x1f\ud800-\udfff\ufffe\uffff]")
#: The most rows of a sheet.
MAX_ROWS: Final = 1_048_576
#: The most UTF-16 code units in a cell; spreadsheets reject a file with a longer one.
MAX_CELL: Final = 32_767
_FORMATS: Final = {DURATION: "[h]:mm:ss", MOMENT: "yyyy-mm-dd hh:mm:ss", DAY: "yyyy-mm-dd"}
_WIDTH: Final = {DURATION: 12, MOMENT: 19, DAY: 12}
#: Of other columns, in characters, and of the button of a filter, which would hide the end of a heading.
_LEAST_WIDTH: Final = 18
_BUTTON: Final = 3
#: Day 0 of spreadsheets.
_EPOCH: Final = date(1899, 12, 30).toordinal()
_DAY_MS: Final = 24 * 3_600_000


class TooLong(Exception):  # noqa: N818 (it names what happened)
    """The table has more rows than a sheet can hold."""


def write_xlsx(file: IO[bytes], *tables: Table) -> None:
    """Write a sheet for each table, with a bold, frozen heading and filters; texts never become formulas or links."""
    with tempfile.TemporaryDirectory() as folder:
        book = xlsxwriter.Workbook(
            file,
            {"constant_memory": True, "tmpdir": folder, "strings_to_formulas": False, "strings_to_urls": False},
        )
        bold = book.add_format({"bold": True})
        # XlsxWriter numbers a format when it is first used; these cells bypass that.
        styles = _Styles(lambda shown: book.add_format({"num_format": shown})._get_xf_index())  # noqa: SLF001
        for table in tables:
            sheet = book.add_worksheet(table.title)
            sheet.freeze_panes(1, 0)
            for place, column in enumerate(table.columns):
                width = max(_WIDTH.get(column.kind, _LEAST_WIDTH), len(column.head) + _BUTTON)
                sheet.set_column(place, place, width)
            sheet.write_row(0, 0, [column.head for column in table.columns], bold)
            try:
                _write(sheet, table, styles)
            except BaseException:
                for one in book.worksheets():
                    one.row_data_fh.close()  # book.close(), which would close it, is not called
                raise
        book.close()


class _Styles(dict[str, int]):
    """The numbers of styles by what they show, such as ``0.00``; each is made once."""

    def __init__(self, make: Callable[[str], int]) -> None:
        self._make = make

    def __missing__(self, shown: str) -> int:
        self[shown] = self._make(shown)
        return self[shown]


def _write(sheet: Any, table: Table, styles: Mapping[str, int]) -> None:
    """Write the rows below the head as XML; XlsxWriter's cell by cell takes six times as long."""
    sheet._write_single_row(1)  # noqa: SLF001 (flushes the buffered head)
    write = sheet.row_data_fh.write
    span = styles[_FORMATS[DURATION]]
    as_xml: dict[str, Callable[[Any], str]] = {
        TEXT: Cached(_inline).__getitem__,
        NUMBER: lambda number: f"><v>{number}</v>",
        DECIMAL: lambda number: f' s="{styles[_decimals(number)]}"><v>{number}</v>',
        PLAIN: lambda text: f' t="inlineStr"><is><t>{text}</t></is>',
        DURATION: lambda ms: f' s="{span}"><v>{ms / _DAY_MS:.9f}</v>',
        MOMENT: _Serials(styles[_FORMATS[MOMENT]]).formatted,
        DAY: _Serials(styles[_FORMATS[DAY]]).formatted,
    }
    letters = [xl_col_to_name(place) for place in range(sheet.dim_colmax + 1)]
    last = 1
    for columns in by_column(table.rows):
        numbers = range(last + 1, last + 1 + len(columns[0]))
        last = numbers[-1]
        if last > MAX_ROWS:
            raise TooLong
        made = []
        for letter, column, cells in zip(letters, table.columns, columns, strict=True):
            rest = as_xml[column.kind]
            made.append(
                [
                    "" if cell == "" else f'<c r="{letter}{number}"{rest(cell)}</c>'
                    for number, cell in zip(numbers, cells, strict=True)
                ]
            )
        for number, row in zip(numbers, zip(*made, strict=True), strict=True):
            write(f'<row r="{number}">{"".join(row)}</row>')
    sheet.dim_rowmax = last - 1
    sheet.autofilter(0, 0, last - 1, sheet.dim_colmax)


def _decimals(number: str) -> str:
    """Return the format that shows a number with as many decimals as it is written with, such as ``0.00``."""
    _whole, point, decimals = number.partition(".")
    return f"0{point}{'0' * len(decimals)}"


class _Serials(dict[str, int]):
    """Formats moments and days as the numbers that spreadsheets use for dates, with a style. Caches each hour."""

    def __init__(self, style: int) -> None:
        self._style = style

    def __missing__(self, hour: str) -> int:
        days = date.fromisoformat(hour[:10]).toordinal() - _EPOCH
        self[hour] = days * _DAY_MS + int(hour[11:] or 0) * 3_600_000
        return self[hour]

    def formatted(self, cell: str) -> str:
        """Return a day or a moment in ISO 8601, without its zone, as a number of days."""
        ms = self[cell[:13]]
        if len(cell) > len("2026-11-26T16"):
            ms += int(cell[14:16]) * 60_000 + int(cell[17:19]) * 1000 + int(cell[20:23] or 0)
        return f' s="{self._style}"><v>{ms / _DAY_MS:.9f}</v>'


def _inline(text: str) -> str:
    """Return the XML of a text cell that follows its position.

    Characters that XML or a cell cannot contain are removed.
    """
    if not _SPECIAL.search(text) and len(text) <= MAX_CELL // 2:
        return f' t="inlineStr"><is><t>{text}</t></is>'
    text = _shortened(_NO_XML.sub("", text))
    keep = "" if text == text.strip() else ' xml:space="preserve"'
    text = escape(_ESCAPE_CODE.sub(r"_x005F\g<0>", text))
    return f' t="inlineStr"><is><t{keep}>{text}</t></is>'


def _shortened(text: str) -> str:
    units = text.encode("utf-16-le")
    return text if len(units) <= 2 * MAX_CELL else f"{units[: 2 * MAX_CELL - 2].decode('utf-16-le', 'ignore')}…"

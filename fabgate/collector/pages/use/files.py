"""How does a long list become a file, without ever being in memory as a whole, and without a cell that calculates?

In CSV an apostrophe stands before what a spreadsheet would compute (formulas.py); in a sheet every text is one.

CSV: as the language's spreadsheets expect it (a semicolon in French), UTF-8 with a mark, moments with their offset.
XLSX: one sheet, numbers as numbers, and a spreadsheet's own dates and durations, which have no zone: what is local stays
local. Rows are written as they come (XlsxWriter's constant_memory) into a file that has no name.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO, Any, Final, cast
from xml.sax.saxutils import escape

import xlsxwriter  # type: ignore[import-untyped]
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import translation
from django.utils.translation import get_language
from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

from fabgate.collector.formulas import kept_text
from fabgate.collector.pages.use.evidence import clock

Cell = str | int | None
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL: Final = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_SEPARATOR: Final = {"fr": ";"}
#: Bytes that are handed on at once.
_CHUNK: Final = 64 * 1024
#: Texts of a CSV file that are remembered.
_REMEMBERED: Final = 10_000
#: A sheet has no more rows than this.
MAX_ROWS: Final = 1_048_576
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


#: What a column holds beside texts and numbers: milliseconds, a local moment in ISO 8601, a day in ISO 8601.
DURATION, MOMENT, DAY = "duration", "moment", "day"
_SHOWN: Final = {DURATION: "[h]:mm:ss", MOMENT: "yyyy-mm-dd hh:mm:ss", DAY: "yyyy-mm-dd"}
_WIDTH: Final = {DURATION: 12, MOMENT: 19, DAY: 12}
#: The day that spreadsheets count as 0.
_EPOCH: Final = date(1899, 12, 30).toordinal()
_DAY_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, and of what kind its cells are."""

    head: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What becomes a file: its title, the columns, and the rows, which are read once."""

    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]


class TooLong(Exception):  # noqa: N818 (it names what happened)
    """A sheet has no room for so many rows."""


def as_csv(request: HttpRequest, name: str, table: Table) -> StreamingHttpResponse:
    """Return the rows as CSV, written while they are sent."""
    separator = _SEPARATOR.get(get_language() or "", ",")
    chunks = _in_language(get_language(), _csv(table, separator))
    return _answer(request, f"{name}.csv", "text/csv; charset=utf-8", chunks)


def as_xlsx(request: HttpRequest, name: str, table: Table) -> StreamingHttpResponse:
    """Return the rows as a sheet. Raises TooLong for more rows than a sheet has."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed once it was sent)
    try:
        write_xlsx(file, table)
    except BaseException:
        file.close()
        raise
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    answer = _answer(request, f"{name}.xlsx", XLSX_TYPE, _blocks(file))
    answer.headers["Content-Length"] = str(size)
    # Also where the browser goes away before it has begun to read.
    cast("Any", answer)._resource_closers.append(file.close)  # noqa: SLF001 (Django closes these with the answer)
    return answer


def write_xlsx(file: IO[bytes], table: Table) -> None:
    """Write one sheet: its head in bold, kept in view and to filter by; texts as texts."""
    with tempfile.TemporaryDirectory() as folder:
        book = xlsxwriter.Workbook(
            file,
            {"constant_memory": True, "tmpdir": folder, "strings_to_formulas": False, "strings_to_urls": False},
        )
        sheet = book.add_worksheet(table.title)
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(table.columns):
            sheet.set_column(place, place, _WIDTH.get(column.kind, 18))
        sheet.write_row(0, 0, [column.head for column in table.columns], book.add_format({"bold": True}))
        # XlsxWriter numbers a format when a cell asks for it; these cells are written past it.
        styles = {kind: book.add_format({"num_format": shown})._get_xf_index() for kind, shown in _SHOWN.items()}  # noqa: SLF001
        try:
            _write(sheet, table, styles)
        except BaseException:
            sheet.row_data_fh.close()  # the book that would close it is not finished
            raise
        book.close()


def _write(sheet: Any, table: Table, styles: Mapping[str, int]) -> None:
    """Write the rows below the head as XML, where XlsxWriter would: cell by cell it takes six times as long."""
    sheet._write_single_row(1)  # noqa: SLF001 (the head, which waits there)
    write, letters = sheet.row_data_fh.write, [xl_col_to_name(column) for column in range(sheet.dim_colmax + 1)]
    kinds = [column.kind for column in table.columns]
    serial = _Serials()
    place = 1
    for place, row in enumerate(table.rows, 2):
        if place > MAX_ROWS:
            raise TooLong
        cells = [
            f'<c r="{letter}{place}" s="{styles[kind]}"><v>{serial[cell]}</v></c>'
            if kind
            else f'<c r="{letter}{place}"><v>{cell}</v></c>'
            if cell.__class__ is int
            else f'<c r="{letter}{place}" t="inlineStr"><is><t>{_xml(cell)}</t></is></c>'  # type: ignore[arg-type]
            for letter, kind, cell in zip(letters, kinds, row, strict=True)
            if cell is not None and cell != ""
        ]
        write(f'<row r="{place}">{"".join(cells)}</row>')
    sheet.dim_rowmax = place - 1
    sheet.autofilter(0, 0, place - 1, sheet.dim_colmax)


class _Serials:
    """Writes moments, days and durations as spreadsheets count them: in days. An hour is looked up once."""

    def __init__(self) -> None:
        self._hours_ms: dict[str, int] = {}

    def __getitem__(self, cell: Any) -> str:
        """Return milliseconds, or a day or a moment in ISO 8601, whose zone is left out, as a number of days."""
        if cell.__class__ is int:
            return f"{cell / _DAY_MS:.9f}"
        hour = cell[:13]
        if hour not in self._hours_ms:
            days = date.fromisoformat(hour[:10]).toordinal() - _EPOCH
            self._hours_ms[hour] = days * _DAY_MS + int(hour[11:] or 0) * 3_600_000
        ms = self._hours_ms[hour]
        if len(cell) > len(hour):
            ms += int(cell[14:16]) * 60_000 + int(cell[17:19]) * 1000 + int(cell[20:23])
        return f"{ms / _DAY_MS:.9f}"


class _Clocks(dict[int, str]):
    """Durations as h:mm:ss, by their whole seconds; each is written once."""

    def __missing__(self, second: int) -> str:
        self[second] = clock(second * 1000)
        return self[second]


class _Kept(dict[str, str]):
    """Texts as ``kept_text`` has them: most are the same as some rows before, and the latest are remembered."""

    def __missing__(self, text: str) -> str:
        if len(self) == _REMEMBERED:
            self.clear()
        self[text] = kept_text(text)
        return self[text]


def _xml(text: str) -> str:
    """Return a text as XML may hold it; what XML cannot hold is left out."""
    return escape(_NO_XML.sub("", text)) if _SPECIAL.search(text) else text


def _csv(table: Table, separator: str) -> Iterator[bytes]:
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerow([column.head for column in table.columns])
    clocks, kept = _Clocks(), _Kept()
    spans = [place for place, column in enumerate(table.columns) if column.kind == DURATION]
    for row in table.rows:
        cells = [kept[cell] if cell.__class__ is str else cell for cell in row]
        for place in spans:
            cells[place] = clocks[row[place] // 1000]  # type: ignore[operator]  # milliseconds
        writer.writerow(cells)
        if out.tell() >= _CHUNK:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def _in_language(language: str | None, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Make each chunk in the language of its reader: it is made after the request, whose language is over by then."""
    while True:
        with translation.override(language):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_CHUNK):
        yield block


def _answer(request: HttpRequest, name: str, kind: str, chunks: Iterator[bytes]) -> StreamingHttpResponse:
    # Under ASGI Django would read all of a plain iterator before it sent anything.
    content: Any = _later(chunks) if isinstance(request, ASGIRequest) else chunks
    answer = StreamingHttpResponse(content, content_type=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


async def _later(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following: Callable[[], Any] = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk

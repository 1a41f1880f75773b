"""Writes long tables as CSV and XLSX without keeping them in memory, and without formulas in texts.

CSV: the separator of the language (a semicolon in French), UTF-8 with a byte order mark, moments with their offset. An
apostrophe precedes texts that a spreadsheet would take for formulas (sessions/csv_safety.py). XLSX: one sheet with
numbers, dates and durations as such; its dates have no zone, so local moments stay local. Rows are written as they
arrive (XlsxWriter's constant_memory) into an unnamed temporary file.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import islice
from typing import IO, Any, Final, cast
from xml.sax.saxutils import escape

import xlsxwriter  # type: ignore[import-untyped]
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import translation
from django.utils.translation import get_language
from xlsxwriter.utility import xl_col_to_name  # type: ignore[import-untyped]

from fabgate.collector.pages.use.sessions.evidence import clock
from fabgate.collector.sessions.csv_safety import escape_cell

Cell = str | int
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
#: Spreadsheets read ``_x0041_`` as "A", so such text is escaped.
_ESCAPE_CODE: Final = re.compile("_x[0-9A-Fa-f]{4}_")
#: Characters that have to be escaped in a sheet; most texts have none.
_SPECIAL: Final = re.compile(r"[&<>_\s\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_SEPARATOR: Final = {"fr": ";"}
#: Bytes sent at once.
_CHUNK: Final = 64 * 1024
_LINE_END: Final = "\r\n"
#: How many rows are written together.
_AT_ONCE: Final = 250
#: How many texts are kept in the cache.
_CACHED: Final = 10_000
#: The most rows of a sheet.
MAX_ROWS: Final = 1_048_576
#: The most UTF-16 code units in a cell; spreadsheets reject a file with a longer one.
MAX_CELL: Final = 32_767
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


#: Kinds of columns: free text; an integer; a safe text that is different in each row, such as a moment in UTC;
#: milliseconds; a local moment in ISO 8601; a day in ISO 8601.
TEXT, NUMBER, PLAIN, DURATION, MOMENT, DAY = "text", "number", "plain", "duration", "moment", "day"
_FORMATS: Final = {DURATION: "[h]:mm:ss", MOMENT: "yyyy-mm-dd hh:mm:ss", DAY: "yyyy-mm-dd"}
_WIDTH: Final = {DURATION: 12, MOMENT: 19, DAY: 12}
#: Day 0 of spreadsheets.
_EPOCH: Final = date(1899, 12, 30).toordinal()
_DAY_MS: Final = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and the kind of its cells."""

    head: str
    kind: str = TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """A table to export: title, columns, and rows, which are read once."""

    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]


class TooLong(Exception):  # noqa: N818 (it names what happened)
    """The table has more rows than a sheet can hold."""


def as_csv(request: HttpRequest, name: str, table: Table) -> StreamingHttpResponse:
    """Return the rows as CSV, which is written while it is sent."""
    separator = _SEPARATOR.get(get_language() or "", ",")
    chunks = _in_language(get_language(), _csv(table, separator))
    return _answer(request, f"{name}.csv", "text/csv; charset=utf-8", chunks)


def as_xlsx(request: HttpRequest, name: str, table: Table) -> StreamingHttpResponse:
    """Return the rows as a sheet. Raises TooLong for too many rows."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed after it has been sent)
    try:
        write_xlsx(file, table)
    except BaseException:
        file.close()
        raise
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    answer = _answer(request, f"{name}.xlsx", XLSX_TYPE, _blocks(file))
    answer.headers["Content-Length"] = str(size)
    # Closes the file even if the browser disconnects before reading.
    cast("Any", answer)._resource_closers.append(file.close)  # noqa: SLF001 (Django closes these with the answer)
    return answer


def write_xlsx(file: IO[bytes], table: Table) -> None:
    """Write one sheet, with a bold, frozen heading and filters; texts never become formulas or links."""
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
        # XlsxWriter numbers a format when it is first used; these cells bypass that.
        styles = {kind: book.add_format({"num_format": shown})._get_xf_index() for kind, shown in _FORMATS.items()}  # noqa: SLF001
        try:
            _write(sheet, table, styles)
        except BaseException:
            sheet.row_data_fh.close()  # book.close(), which would close it, is not called
            raise
        book.close()


def _by_column(rows: Iterable[Sequence[Cell]]) -> Iterator[list[Sequence[Any]]]:
    """Yield batches of rows as columns, so that each column's conversion is looked up once."""
    rows = iter(rows)
    while batch := list(islice(rows, _AT_ONCE)):
        yield list(zip(*batch, strict=True))


def _write(sheet: Any, table: Table, styles: Mapping[str, int]) -> None:
    """Write the rows below the head as XML; XlsxWriter's cell by cell takes six times as long."""
    sheet._write_single_row(1)  # noqa: SLF001 (flushes the buffered head)
    write = sheet.row_data_fh.write
    span = styles[DURATION]
    as_xml: dict[str, Callable[[Any], str]] = {
        TEXT: _Cached(_inline).__getitem__,
        NUMBER: lambda number: f"><v>{number}</v>",
        PLAIN: lambda text: f' t="inlineStr"><is><t>{text}</t></is>',
        DURATION: lambda ms: f' s="{span}"><v>{ms / _DAY_MS:.9f}</v>',
        MOMENT: _Serials(styles[MOMENT]).formatted,
        DAY: _Serials(styles[DAY]).formatted,
    }
    letters = [xl_col_to_name(place) for place in range(sheet.dim_colmax + 1)]
    last = 1
    for columns in _by_column(table.rows):
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
            ms += int(cell[14:16]) * 60_000 + int(cell[17:19]) * 1000 + int(cell[20:23])
        return f' s="{self._style}"><v>{ms / _DAY_MS:.9f}</v>'


class _Clocks(dict[int, str]):
    """Formats durations as h:mm:ss, with a cache by whole seconds."""

    def __missing__(self, second: int) -> str:
        self[second] = clock(second * 1000)
        return self[second]


class _Cached(dict[str, str]):
    """A cache of converted texts, because most texts repeat."""

    def __init__(self, convert: Callable[[str], str]) -> None:
        self._convert = convert

    def __missing__(self, text: str) -> str:
        if len(self) == _CACHED:
            self.clear()
        self[text] = self._convert(text)
        return self[text]


def _quoted(text: str, separator: str) -> str:
    """Return a CSV cell that is no formula, quoted if needed.

    The csv module is slow, so it is called once for each text and the lines are joined here.
    """
    if not text or (text[0].isalnum() and text.replace("-", "").isalnum()):
        return text  # most texts; and the ids of sessions, which differ in each line
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=_LINE_END).writerow([escape_cell(text)])
    return out.getvalue().removesuffix(_LINE_END)


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


def _csv(table: Table, separator: str) -> Iterator[bytes]:
    texts, clocks = _Cached(partial(_quoted, separator=separator)), _Clocks()
    yield f"\ufeff{separator.join(texts[column.head] for column in table.columns)}{_LINE_END}".encode()
    as_csv: dict[str, Callable[[Any], str]] = {
        TEXT: texts.__getitem__,
        NUMBER: str,
        DURATION: lambda ms: clocks[ms // 1000],
        **dict.fromkeys((PLAIN, MOMENT, DAY), str),
    }
    for columns in _by_column(table.rows):
        made = [map(as_csv[column.kind], cells) for column, cells in zip(table.columns, columns, strict=True)]
        yield "".join([separator.join(cells) + _LINE_END for cells in zip(*made, strict=True)]).encode()


def _in_language(language: str | None, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Produce each chunk in the language of the request, which is no longer active while the response is sent."""
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
    # Under ASGI, Django would read a plain iterator to its end before sending.
    content: Any = _async_chunks(chunks) if isinstance(request, ASGIRequest) else chunks
    answer = StreamingHttpResponse(content, content_type=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


async def _async_chunks(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following: Callable[[], Any] = sync_to_async(lambda: next(chunks, None))
    while (chunk := await following()) is not None:
        yield chunk

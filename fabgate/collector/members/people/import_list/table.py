"""Reads the rows of a table from CSV, as spreadsheets write it, or from XLSX.

CSV is separated by ``,``, ``;`` or tabs, in UTF-8, in UTF-16 with a byte order mark, or else in Windows-1252, which is
noted. A file that is far larger than a workshop's list of people is refused before it is read, because a small workbook
may unpack to more than the memory holds.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, Any, Final

import openpyxl
from django.utils.translation import gettext as _
from openpyxl.worksheet._reader import FORMULA_TAG, VALUE_TAG, WorkSheetParser

from fabgate.collector.ground.base.body_limit import MAX_FILE_BYTES, MEGABYTE
from fabgate.errors import UsageError

MAX_ROWS: Final = 20_000
MAX_COLUMNS: Final = 100
#: The most bytes that a workbook may unpack to, and the highest ratio to its own size.
MAX_UNPACKED: Final = 60 * 1024 * 1024
MAX_RATIO: Final = 200
MAX_PARTS: Final = 2_000
#: The most XML tags in a workbook: openpyxl keeps those of a row in memory, and takes microseconds for each.
MAX_TAGS: Final = 2_000_000
#: The last row that a spreadsheet can have.
LAST_LINE: Final = 1_048_576
#: Up to this size a high ratio is allowed.
_SMALL: Final = 1024 * 1024
_PIECE: Final = 1024 * 1024
_BOMS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_ZIP: Final = b"PK\x03\x04"
#: Names of files that are not text.
_WORKBOOKS: Final = (".xlsx", ".xlsm", ".ods")
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"


class Missing(str):
    """A cell that is not empty but has no value: an error, as displayed, or a formula that was never computed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A header, the rows that are not empty with their line numbers, and notes about the file."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: list[str]
    #: The field separator in words; empty for a workbook.
    separator: str
    #: The day from which a workbook counts days; None for CSV.
    epoch: datetime | None = None


def read_table(raw: bytes, name: str = "") -> Table:
    """Read a table; `name` is that of the file. Raises UsageError if it cannot be read or is too large."""
    if len(raw) > MAX_FILE_BYTES:
        text = _("found a file of %(found)d MB, wanted at most %(most)d MB")
        raise UsageError(text % {"found": -(-len(raw) // MEGABYTE), "most": MAX_FILE_BYTES // MEGABYTE})
    if raw.startswith(_OLD_EXCEL):
        raise UsageError(_("found an old Excel file (.xls); save it as .xlsx or as 'CSV UTF-8'"))
    if raw.startswith(_ZIP):
        return _workbook(raw)
    if name.lower().endswith(_WORKBOOKS):
        text = _("%(name)s is not a spreadsheet file, despite its name; save it again as .xlsx or as 'CSV UTF-8'")
        raise UsageError(text % {"name": name})
    return _csv(raw)


def _csv(raw: bytes) -> Table:
    text, notes = _text(raw)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    try:
        first = next(lines, [])
        for cells in lines:
            found += _kept(lines.line_num, cells, len(found))
    except csv.Error as error:
        problem = _("line %(line)d: cannot be read as CSV (%(error)s); is a closing quotation mark missing?")
        raise UsageError(problem % {"line": lines.line_num, "error": error}) from error
    return Table(
        _header(first), found, notes, _("a tab") if delimiter == "\t" else _("a '%(mark)s'") % {"mark": delimiter}
    )


def _text(raw: bytes) -> tuple[str, list[str]]:
    marked = next((name for bom, name in _BOMS.items() if raw.startswith(bom)), None)
    line = 0
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
        else:
            note = _("the file is not UTF-8 and was read as Windows-1252 (Latin-1): check that the accents are right")
            return text, [note] if encoding == "cp1252" else []
    problem = _(
        "line %(line)d: found bytes that are not UTF-8, UTF-16 or Windows-1252 text; save the file as"
        " UTF-8 (in a spreadsheet: 'CSV UTF-8')"
    )
    raise UsageError(problem % {"line": line})


def _workbook(raw: bytes) -> Table:
    _refuse_bombs(raw)
    found: list[tuple[int, list[str]]] = []
    first: list[str] = []
    try:
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        for line, values in _lines(book):
            if line == 1:
                first = _cells(values)
            else:
                found += _kept(line, _cells(values)[: len(first)], len(found), width=len(first))
        epoch: datetime = book.epoch
        book.close()
    except UsageError:
        raise
    except Exception as error:  # a broken workbook can make openpyxl raise anything
        raise UsageError(_("cannot be read as a workbook; save it again, or as 'CSV UTF-8'")) from error
    return Table(_header(first), found, [], "", epoch)


def _lines(book: Any) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of the first sheet with their line numbers, as they are unpacked."""
    sheet = book.worksheets[0]
    with sheet._get_source() as source:  # noqa: SLF001 (its public API accepts no other parser)
        for line, cells in _Parser.of(sheet, source).parse():
            if line > LAST_LINE:
                raise UsageError(
                    _("found a row after row %(last)d, the last that a sheet can have; save the workbook again")
                    % {"last": LAST_LINE}
                )
            # The dimensions that a file declares may be wrong, or a million empty columns.
            within = {cell["column"]: cell["value"] for cell in cells if cell["column"] <= MAX_COLUMNS + 1}
            yield line, [within.get(column) for column in range(1, max(within, default=0) + 1)]


class _Parser(WorkSheetParser):
    """A parser that reports formulas without a value, and errors, which openpyxl's own parser does not."""

    @classmethod
    def of(cls, sheet: Any, source: IO[bytes]) -> _Parser:
        """Return one that reads a sheet from its `source`, row by row."""
        book, texts = sheet.parent, sheet._shared_strings  # noqa: SLF001 (as above)
        dates, spans = book._date_formats, book._timedelta_formats  # noqa: SLF001 (as above)
        return cls(source, texts, data_only=True, epoch=book.epoch, date_formats=dates, timedelta_formats=spans)

    def parse_cell(self, element: Any) -> dict[str, Any]:
        """Return what a cell holds."""
        cell: dict[str, Any] = super().parse_cell(element)
        if cell["data_type"] == "e" and cell["value"]:
            cell["value"] = Missing(cell["value"])
        elif cell["value"] is None and element.find(FORMULA_TAG) is not None:
            # A text may be empty, such as the value of =IF(A2="","",A2).
            is_empty_text = element.get("t") == "str" and element.find(VALUE_TAG) is not None
            cell["value"] = None if is_empty_text else Missing()
        return cell


def _refuse_bombs(raw: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = archive.infolist()
            unpacked = sum(part.file_size for part in parts)
            is_bomb = unpacked > MAX_UNPACKED or (unpacked > _SMALL and unpacked > MAX_RATIO * len(raw))
            is_bomb = is_bomb or len(parts) > MAX_PARTS or _tags(archive, parts) > MAX_TAGS
    except Exception as error:  # a broken archive can make zipfile raise anything
        raise UsageError(_("cannot be read as a workbook; save it again, or as 'CSV UTF-8'")) from error
    if is_bomb:
        raise UsageError(_("this workbook is far larger than a list of people once it is unpacked, and was not read"))


def _tags(archive: zipfile.ZipFile, parts: Sequence[zipfile.ZipInfo]) -> int:
    """Count the tags in all parts, a piece at a time; in images too, because any part may be the sheet."""
    found = 0
    for part in parts:
        with archive.open(part) as file:
            while piece := file.read(_PIECE):
                found += piece.count(b"<")
    return found


def _kept(line: int, cells: list[str], so_far: int, *, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Yield a row unless it is empty, as spreadsheets leave some at the end."""
    if not any(cell.strip() or isinstance(cell, Missing) for cell in cells):
        return
    if so_far >= MAX_ROWS:
        raise UsageError(_("found more than %(most)d rows; import the list in parts") % {"most": MAX_ROWS})
    yield line, [*cells, *[""] * (width - len(cells))]


def _header(cells: list[str]) -> list[str]:
    if len(cells) > MAX_COLUMNS:
        raise UsageError(_("line 1: found more than %(most)d columns") % {"most": MAX_COLUMNS})
    return cells


def _cells(values: list[Any]) -> list[str]:
    """Return a workbook's row as text, without trailing empty cells."""
    found = [_plain(value) for value in values]
    while found and not found[-1] and not isinstance(found[-1], Missing):
        found.pop()
    return found


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

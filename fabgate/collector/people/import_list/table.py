"""Which rows has a table that somebody made in a spreadsheet? CSV as spreadsheets write it, or XLSX itself.

CSV is separated by ``,``, ``;`` or tabs, in UTF-8 or UTF-16 with a byte order mark, or else what Windows writes in
western Europe, which is noted. What is far larger than any workshop's list of people is refused before it is read: a
small workbook may unpack to more than any computer holds.
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

from fabgate.collector.base.body_limit import MAX_FILE_BYTES, MEGABYTE
from fabgate.errors import UsageError

MAX_ROWS: Final = 20_000
MAX_COLUMNS: Final = 100
#: Of a workbook: what it unpacks to, and how many times more that is than what was sent.
MAX_UNPACKED: Final = 60 * 1024 * 1024
MAX_RATIO: Final = 200
MAX_PARTS: Final = 2_000
#: Tags of all its parts: the library holds those of a whole row in memory, and takes microseconds for each.
MAX_TAGS: Final = 2_000_000
#: A spreadsheet has no line beyond this one.
LAST_LINE: Final = 1_048_576
#: Less than this is no bomb, however well it packs.
_SMALL: Final = 1024 * 1024
_PIECE: Final = 1024 * 1024
_BOMS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_ZIP: Final = b"PK\x03\x04"
#: What nobody calls a file of text.
_WORKBOOKS: Final = (".xlsx", ".xlsm", ".ods")
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"


class Missing(str):
    """A cell without a value although it is not empty: an error as it shows it, or else a formula that nobody computed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A header, the rows that are not empty, each with its line, and what is to be told about the file."""

    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: list[str]
    #: What separates fields, in words; empty in a workbook.
    separator: str


def read(raw: bytes, name: str = "") -> Table:
    """Read a table, from a file of this name. Raises UsageError for what is none, and for one that is too large."""
    if len(raw) > MAX_FILE_BYTES:
        text = _("found a file of %(found)d MB, wanted at most %(most)d MB")
        raise UsageError(text % {"found": -(-len(raw) // MEGABYTE), "most": MAX_FILE_BYTES // MEGABYTE})
    if raw.startswith(_OLD_EXCEL):
        raise UsageError(_("found an old Excel file (.xls); save it as .xlsx or as 'CSV UTF-8'"))
    if raw.startswith(_ZIP):
        return _workbook(raw)
    if name.lower().endswith(_WORKBOOKS):
        text = _("%(name)s is no spreadsheet file, whatever its name says; save it again as .xlsx or as 'CSV UTF-8'")
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
        problem = _("line %(line)d: cannot be read as CSV (%(error)s); is a quote open?")
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
            note = _("it is not UTF-8; it was read as Windows-1252 (Latin-1): see whether the accents are right")
            return text, [note] if encoding == "cp1252" else []
    problem = _(
        "line %(line)d: found bytes that are no text in UTF-8, UTF-16 or Windows-1252; save the file as UTF-8 (in a"
        " spreadsheet: 'CSV UTF-8')"
    )
    raise UsageError(problem % {"line": line})


def _workbook(raw: bytes) -> Table:
    _refuse_bombs(raw)
    found: list[tuple[int, list[str]]] = []
    first: list[str] = []
    try:
        for line, values in _lines(raw):
            if line == 1:
                first = _cells(values)
            else:
                found += _kept(line, _cells(values)[: len(first)], len(found), width=len(first))
    except UsageError:
        raise
    except Exception as error:  # whatever a broken workbook makes of the library
        raise UsageError(_("cannot be read as a workbook; save it again, or as 'CSV UTF-8'")) from error
    return Table(_header(first), found, [], "")


def _lines(raw: bytes) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of the first sheet, each with its line, as they are unpacked."""
    book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
    sheet: Any = book.worksheets[0]
    with sheet._get_source() as source:  # noqa: SLF001 (the library's own way to it takes no other parser)
        for line, cells in _Parser.of(sheet, source).parse():
            if line > LAST_LINE:
                raise UsageError(_("found a line beyond %(last)d; no sheet has one") % {"last": LAST_LINE})
            # What a file says of its own size may be a lie, or a million empty columns.
            within = {cell["column"]: cell["value"] for cell in cells if cell["column"] <= MAX_COLUMNS + 1}
            yield line, [within.get(column) for column in range(1, max(within, default=0) + 1)]
    book.close()


class _Parser(WorkSheetParser):
    """The library's, which takes a formula without a value for an empty cell, and an error for a text."""

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
            # Of a text the value may well be empty, as that of =IF(A2="","",A2) is.
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
    except Exception as error:  # whatever a broken archive makes of the library
        raise UsageError(_("cannot be read as a workbook; save it again, or as 'CSV UTF-8'")) from error
    if is_bomb:
        raise UsageError(_("this workbook unpacks to far more than a list of people; nothing of it was read"))


def _tags(archive: zipfile.ZipFile, parts: Sequence[zipfile.ZipInfo]) -> int:
    """Count what opens a tag, a piece at a time; in pictures, too, for any part may be the sheet."""
    found = 0
    for part in parts:
        with archive.open(part) as file:
            while piece := file.read(_PIECE):
                found += piece.count(b"<")
    return found


def _kept(line: int, cells: list[str], so_far: int, *, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Yield a row unless it is empty: a spreadsheet leaves such ones at the end."""
    if not any(cell.strip() or isinstance(cell, Missing) for cell in cells):
        return
    if so_far >= MAX_ROWS:
        raise UsageError(_("found more than %(most)d rows; take the list in parts") % {"most": MAX_ROWS})
    yield line, [*cells, *[""] * (width - len(cells))]


def _header(cells: list[str]) -> list[str]:
    if len(cells) > MAX_COLUMNS:
        raise UsageError(_("line 1: found more than %(most)d columns") % {"most": MAX_COLUMNS})
    return cells


def _cells(values: list[Any]) -> list[str]:
    """Return a workbook's row as text, without the empty cells behind its last one."""
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

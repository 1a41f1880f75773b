"""What does a CSV file say of a workshop's members? Read as spreadsheets write it, with every mistake told by its line.

Columns are separated by ``,``, ``;`` or tabs, and named in English or French. The text is UTF-8 or UTF-16 with a byte
order mark, or else what Windows writes in western Europe, which is noted. A column that is not there says nothing of
anybody; an empty cell clears.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from fabgate import badge
from fabgate.collector.models import Badge, Machine, Member
from fabgate.errors import UsageError

COLUMNS: Final = ("id", "name", "badges", "lang", "level", "valid_until", "machines")
#: The languages of the gates' displays.
LANGS: Final = ("en", "fr")
#: What else people call the columns.
_ALSO: Final = {
    "badge": "badges",
    "expiration": "valid_until",
    "identifiant": "id",
    "langue": "lang",
    "language": "lang",
    "machine": "machines",
    "niveau": "level",
    "nom": "name",
    "valable_jusqu_au": "valid_until",
    "valide_jusqu_au": "valid_until",
}
_BOMS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
#: How the files begin that Excel and LibreOffice write unless they are asked for CSV.
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass
class Row:
    """One member as the file has them; what is in no column of the file is empty here, and not to be stored."""

    line: int
    id: str
    name: str = ""
    lang: str = "en"
    level: str = "user"
    valid_until: date | None = None
    badges: list[badge.Badge] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class File:
    """What a file says: of which `columns`, of whom, and what is to be told about it (`notes`)."""

    columns: frozenset[str]
    rows: list[Row]
    notes: list[str]


def read(path: Path) -> File:
    """Read and check the whole file against itself and the database. Raises UsageError with a line for each mistake."""
    text, notes = _text(path)
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    mistakes: list[str] = []
    rows: list[Row] = []
    try:
        columns = _columns(next(lines, []), mistakes)
        if mistakes:
            raise UsageError("\n".join(f"{path}, line 1: {mistake}" for mistake in mistakes))
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue  # a spreadsheet leaves empty rows at the end
            if len(cells) != len(columns):
                mistakes.append(
                    f"line {lines.line_num}: found {len(cells)} fields, wanted {len(columns)}, one a column; put a"
                    f" field with {_called(delimiter)} in quotes"
                )
                continue
            values = dict(zip(columns, (cell.strip() for cell in cells), strict=True))
            rows.append(_row(lines.line_num, values, mistakes))
    except csv.Error as error:
        raise UsageError(f"{path}, line {lines.line_num}: cannot be read as CSV ({error}); is a quote open?") from error
    _collisions(rows, mistakes)
    _machines(rows, mistakes)
    if "badges" not in columns:
        _strangers(rows, mistakes)
    if mistakes:
        raise UsageError("\n".join(f"{path}, {mistake}" for mistake in mistakes))
    return File(frozenset(columns), rows, notes)


def _text(path: Path) -> tuple[str, list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if raw.startswith(_WORKBOOKS):
        raise UsageError(f"{path}: found a spreadsheet's own format, wanted CSV; save it there as 'CSV UTF-8'")
    marked = next((name for bom, name in _BOMS.items() if raw.startswith(bom)), None)
    line = 0
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
        else:
            note = f"{path} is not UTF-8; it was read as Windows-1252 (Latin-1): see whether the accents are right"
            return text, [note] if encoding == "cp1252" else []
    raise UsageError(
        f"{path}, line {line}: found bytes that are no text in UTF-8, UTF-16 or Windows-1252; save the file as UTF-8 (in"
        " a spreadsheet: 'CSV UTF-8')"
    )


def _columns(header: Sequence[str], mistakes: list[str]) -> list[str]:
    columns = []
    for cell in header:
        spelled = "_".join(cell.strip().casefold().replace("'", " ").replace("\u2019", " ").split())
        name = _ALSO.get(spelled, spelled)
        if name in columns:
            mistakes.append(f"the column {name!r} is there twice")
        elif name not in COLUMNS:
            near = difflib.get_close_matches(spelled, [*COLUMNS, *_ALSO], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"wanted only {', '.join(COLUMNS)}"
            mistakes.append(f"found the column {cell.strip()[:60]!r}; {hint}")
        columns.append(name)
    if "id" not in columns:
        mistakes.append(f"the column 'id' is missing; wanted it, and of {', '.join(COLUMNS[1:])} what is to change")
    return columns


def _row(line: int, values: dict[str, str], mistakes: list[str]) -> Row:
    row = Row(line, values["id"], name=values.get("name", ""), machines=_parts(values.get("machines", "")))
    row.lang = values.get("lang", "").lower() or row.lang
    row.level = values.get("level", "").lower() or row.level
    if not 0 < len(row.id) <= 64 or not row.id.isprintable():
        mistakes.append(f"line {line}: id: found {row.id[:80]!r}, wanted 1 to 64 printable characters")
    if len(row.name) > 120 or not row.name.isprintable():
        mistakes.append(f"line {line}: name: found {row.name[:40]!r}…, wanted at most 120 printable characters")
    if row.lang not in LANGS:
        mistakes.append(f"line {line}: lang: found {values['lang'][:40]!r}, wanted {' or '.join(LANGS)}")
    if row.level not in Member.LEVELS:
        mistakes.append(f"line {line}: level: found {values['level'][:40]!r}, wanted one of {', '.join(Member.LEVELS)}")
    if until := values.get("valid_until"):
        try:
            row.valid_until = date.fromisoformat(until)
        except ValueError:
            # 01/03/2027 is a day in March or in January: never guessed.
            mistakes.append(
                f"line {line}: valid_until: found {until[:40]!r}, wanted year-month-day, such as 2027-03-01"
            )
    for spelling in _parts(values.get("badges", "")):
        try:
            row.badges.append(badge.parse(spelling))
        except UsageError as error:
            mistakes.append(f"line {line}: badges: {error}")
    return row


def _collisions(rows: list[Row], mistakes: list[str]) -> None:
    """Refuse one id or one badge for two people, in the file or against who is known already."""
    ids: dict[str, int] = {}
    holders: dict[str, tuple[str, int]] = {}
    for row in rows:
        if row.id in ids:
            mistakes.append(f"line {row.line}: id: {row.id!r} is on line {ids[row.id]} already")
        ids.setdefault(row.id, row.line)
        for found in map(str, row.badges):
            if found in holders:
                member, line = holders[found]
                mistakes.append(f"line {row.line}: badges: {found} is the badge of {member!r} on line {line}")
            holders.setdefault(found, (row.id, row.line))
    for spelling, member in Badge.objects.values_list("spelling", "member"):
        if spelling in holders and member not in ids:
            mistakes.append(f"line {holders[spelling][1]}: badges: {spelling} is the badge of {member!r} already")


def _machines(rows: list[Row], mistakes: list[str]) -> None:
    known = set(Machine.objects.values_list("name", flat=True))
    for row in rows:
        for name in row.machines:
            if name not in known:
                wanted = ", ".join(sorted(known)) or "(there is none: let a gate in with gate-add)"
                mistakes.append(f"line {row.line}: machines: found {name!r}, wanted one of: {wanted}")


def _strangers(rows: list[Row], mistakes: list[str]) -> None:
    """Refuse who is new in a file without badges: it changes those who are there, and the id is more likely wrong."""
    known = set(Member.objects.values_list("id", flat=True))
    for row in rows:
        if row.id and row.id not in known:
            near = difflib.get_close_matches(row.id, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "a new member needs the column 'badges' too"
            mistakes.append(f"line {row.line}: id: found no member {row.id!r}; {hint}")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _called(delimiter: str) -> str:
    return "a tab" if delimiter == "\t" else f"a {delimiter!r}"

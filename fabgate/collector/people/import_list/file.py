"""Reads and checks a list of members, and reports every error with its line.

Columns are named in English or French. A missing column changes nothing; an empty cell clears the field.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate import badge
from fabgate.collector.access import roster
from fabgate.collector.models import Badge, Machine, Member
from fabgate.collector.people import names
from fabgate.collector.people.import_list import table as members_table
from fabgate.collector.people.import_list.dates import DateReader, reader
from fabgate.collector.people.import_list.rows import DAYS, Mistake, Row, missing_value, parse_header, parse_row
from fabgate.collector.people.import_list.table import Missing, Table
from fabgate.errors import UsageError

#: For how many unknown ids a similar one is suggested. Each search compares all members; with more, it is another list.
MOST_GUESSED: Final = 20


@dataclass(frozen=True, slots=True)
class File:
    """The content of a file: its `columns`, and `notes` about it.

    `rows` are those that can be imported; `mistakes` are the errors of the others, by line. `ids` are all ids in the file.
    `dates` is how its dates were read.
    """

    columns: frozenset[str]
    rows: list[Row]
    notes: list[str]
    mistakes: list[Mistake]
    ids: frozenset[str]
    dates: DateReader


def read(path: Path, *, dates: str = "") -> File:
    """Read and check a whole file. Raises UsageError with a line for each error, or for ambiguous dates.

    `dates` is one of dates.ORDERS, or empty.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        found = parse(raw, path.name, dates=dates)
    except UsageError as error:
        raise UsageError("\n".join(f"{path}, {line}" for line in str(error).splitlines())) from error
    if found.mistakes:
        raise UsageError("\n".join(f"{path}, {mistake}" for mistake in found.mistakes))
    if found.dates.is_ambiguous and not dates:
        raise UsageError(
            f"{path}: found the date {found.dates.example!r}, wanted to know whether the day or the month is first; add"
            " --dates day-first or --dates month-first"
        )
    return replace(found, notes=[f"{path}: {note}" for note in found.notes])


def parse(raw: bytes, name: str = "", *, dates: str = "") -> File:
    """Read and check a file's content. Raises UsageError where its format or its columns cannot be read.

    `dates` is one of dates.ORDERS, and only counts where the dates are ambiguous.
    """
    table = members_table.read(raw, name)
    problems: list[str] = []
    columns = parse_header(table.header, problems)
    if problems:
        raise UsageError("\n".join(_("line 1: %(problem)s") % {"problem": problem} for problem in problems))
    mistakes: list[Mistake] = []
    date_reader = reader(_dates(table, columns), chosen=dates, epoch=table.epoch)
    rows = list(_rows(table, columns, date_reader, mistakes))
    _collisions(rows, mistakes)
    _machines(rows, mistakes)
    if "badges" not in columns:
        _unknown_members(rows, mistakes)
    _payers(rows, mistakes)
    told = -1
    while told != len(mistakes):  # a row that is left out may be needed by others
        told = len(mistakes)
        if "badges" in columns:
            _exclude_held_badges(rows, mistakes)
        _exclude_unpaid(rows, mistakes)
    bad = _lines(mistakes)
    good = [row for row in rows if row.line not in bad]
    mistakes.sort(key=lambda mistake: mistake.line)
    return File(frozenset(columns), good, table.notes, mistakes, frozenset(row.id for row in rows), date_reader)


def _dates(table: Table, columns: list[str]) -> Iterable[str]:
    """Yield the cells of the columns with dates."""
    places = [place for place, column in enumerate(columns) if column in DAYS]
    for _line, cells in table.rows:
        yield from (cells[place] for place in places if place < len(cells))


def _rows(table: Table, columns: list[str], dates: DateReader, mistakes: list[Mistake]) -> Iterable[Row]:
    for line, cells in table.rows:
        if len(cells) != len(columns):
            text = ngettext(
                "found %(found)d field, wanted %(wanted)d, one for each column; put a field that contains"
                " %(separator)s in quotes",
                "found %(found)d fields, wanted %(wanted)d, one for each column; put a field that contains"
                " %(separator)s in quotes",
                len(cells),
            )
            said = {"found": len(cells), "wanted": len(columns), "separator": table.separator}
            mistakes.append(Mistake(line, text % said))
            continue
        values = dict(zip(columns, cells, strict=True))
        missing = {name: cell for name, cell in values.items() if isinstance(cell, Missing)}
        mistakes += [Mistake(line, missing_value(name, cell)) for name, cell in missing.items()]
        if "id" not in missing:
            yield parse_row(
                line, {name: "" if name in missing else values[name].strip() for name in columns}, dates, mistakes
            )


def _collisions(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Report ids and badges that two people have, in the file or in the database."""
    ids: dict[str, int] = {}
    holders: dict[str, tuple[str, int]] = {}
    for row in rows:
        if row.id in ids:
            text = _("id: '%(id)s' is already on line %(line)d")
            mistakes.append(
                Mistake(row.line, text % {"id": names.shown(row.id[:64]), "line": ids[row.id]}, ids[row.id])
            )
        ids.setdefault(row.id, row.line)
        for found in map(str, row.badges):
            if found in holders:
                member, line = holders[found]
                text = _("badges: %(badge)s belongs to '%(id)s' on line %(line)d")
                mistakes.append(
                    Mistake(row.line, text % {"badge": found, "id": names.shown(member[:64]), "line": line}, line)
                )
            holders.setdefault(found, (row.id, row.line))
    mistakes += _held_by_others(_carried(), rows, ids)


def _exclude_held_badges(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Leave out rows that take a badge from a member whose own row has errors, and who therefore keeps it."""
    carried = _carried()
    while True:
        bad = _lines(mistakes)
        good = [row for row in rows if row.line not in bad]
        more = _held_by_others(carried, good, {row.id: row.line for row in good})
        if not more:
            return
        mistakes += more


def _carried() -> list[Badge]:
    return list(Badge.objects.filter(ended_at=None).select_related("group").order_by("id"))


def _held_by_others(carried: list[Badge], rows: list[Row], ids: dict[str, int]) -> list[Mistake]:
    """Return an error for each badge in the file that is among `carried`, by a holder who is not among `ids`."""
    lines = {str(found): row.line for row in rows for found in row.badges}
    spelled = {}
    if any(not held.spelling for held in carried):
        key = roster.badge_key(settings.ENVIRONMENT)
        spelled = {badge.digest(found, key): str(found) for row in rows for found in row.badges}
    mistakes = []
    for held in carried:
        spelling = held.spelling or spelled.get(held.digest, "")
        if spelling in lines and held.holder not in ids:
            whose = f"'{held.member_id}'" if held.member_id else _("the group %(name)s") % {"name": held.group}
            text = _("badges: %(badge)s already belongs to %(whose)s")
            mistakes.append(Mistake(lines[spelling], text % {"badge": spelling, "whose": whose}))
    return mistakes


def _payers(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Report payers who are neither members nor in this file."""
    known = {*Member.objects.values_list("id", flat=True), *(row.id for row in rows)}
    named = [(row.line, row.payer_id) for row in rows if row.payer_id is not None]
    text = _("payer: no member '%(id)s'; enter a member's number, or add this person on a line of their own")
    nearly = _("payer: no member '%(id)s'; did you mean '%(near)s'?")
    mistakes += _unknown(named, known, text, nearly)


def _exclude_unpaid(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Leave out rows whose payer would be added by a row with errors."""
    bad, known = _lines(mistakes), set(Member.objects.values_list("id", flat=True))
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.payer_id is not None and row.line not in bad:
            waiting[row.payer_id].append(row)
    nobody = [row.id for row in rows if row.line in bad and row.id not in known]
    while nobody:
        for row in waiting.pop(nobody.pop(), ()):
            text = _("payer: '%(id)s' is not a member yet, and the row that would add them has errors")
            mistakes.append(Mistake(row.line, text % {"id": names.shown((row.payer_id or "")[:64])}))
            if row.id not in known:
                nobody.append(row.id)


def _machines(rows: list[Row], mistakes: list[Mistake]) -> None:
    known = set(Machine.objects.values_list("name", flat=True))
    nothing = _("(none yet: add a machine first)")
    for row in rows:
        for name in row.machines:
            if name not in known:
                text = _("machines: found '%(found)s', wanted one of: %(wanted)s")
                wanted = ", ".join(sorted(known)) or nothing
                mistakes.append(Mistake(row.line, text % {"found": names.shown(name[:63]), "wanted": wanted}))


def _unknown_members(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Report unknown ids in a file without badges: such a file changes existing members, so the id is probably wrong."""
    known = set(Member.objects.values_list("id", flat=True))
    named = [(row.line, row.id) for row in rows if row.id]
    text = _("id: no member '%(id)s'; a new member also needs the column 'badges'")
    mistakes += _unknown(named, known, text, _("id: no member '%(id)s'; did you mean '%(near)s'?"))


def _unknown(named: Iterable[tuple[int, str]], known: set[str], text: str, nearly: str) -> list[Mistake]:
    """Return an error for each unknown (line, id): `text`, or `nearly` where a similar id exists."""
    mistakes: list[Mistake] = []
    for line, found in named:
        if found not in known:
            near = difflib.get_close_matches(found, known, 1) if len(mistakes) < MOST_GUESSED else []
            said = {"id": names.shown(found[:64]), "near": "".join(near)}
            mistakes.append(Mistake(line, (nearly if near else text) % said))
    return mistakes


def _lines(mistakes: Iterable[Mistake]) -> set[int]:
    """Return the lines with errors."""
    return {line for mistake in mistakes for line in (mistake.line, mistake.also) if line is not None}

"""What does a file say of a workshop's members? Read as spreadsheets write it, with every mistake told by its line.

Columns are named in English or French. A column that is not there says nothing of anybody; an empty cell clears.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
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
from fabgate.collector.people.import_list.rows import Mistake, Row, columns_of, no_value, row_of
from fabgate.collector.people.import_list.table import Missing, Table
from fabgate.errors import UsageError

#: So many ids that nobody has are guessed at. Each guess looks at everybody, and who has more of them has another list.
MOST_GUESSED: Final = 20


@dataclass(frozen=True, slots=True)
class File:
    """What a file says: of which `columns`, of whom, and what is to be told about it (`notes`).

    `rows` are those that can be taken; of the others `mistakes` says why not, in the order of lines. `ids` are all that the file names.
    """

    columns: frozenset[str]
    rows: list[Row]
    notes: list[str]
    mistakes: list[Mistake]
    ids: frozenset[str]


def read(path: Path) -> File:
    """Read and check the whole file against itself and the database. Raises UsageError with a line for each mistake."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        found = parse(raw, path.name)
    except UsageError as error:
        raise UsageError("\n".join(f"{path}, {line}" for line in str(error).splitlines())) from error
    if found.mistakes:
        raise UsageError("\n".join(f"{path}, {mistake}" for mistake in found.mistakes))
    return File(found.columns, found.rows, [f"{path}: {note}" for note in found.notes], [], found.ids)


def parse(raw: bytes, name: str = "") -> File:
    """Read and check what a file of this name holds. Raises UsageError where its format or its columns are not understood."""
    table = members_table.read(raw, name)
    problems: list[str] = []
    columns = columns_of(table.header, problems)
    if problems:
        raise UsageError("\n".join(_("line 1: %(problem)s") % {"problem": problem} for problem in problems))
    mistakes: list[Mistake] = []
    rows = list(_rows(table, columns, mistakes))
    _collisions(rows, mistakes)
    _machines(rows, mistakes)
    if "badges" not in columns:
        _strangers(rows, mistakes)
    _payers(rows, mistakes)
    told = -1
    while told != len(mistakes):  # whoever is left out may be who others counted on
        told = len(mistakes)
        if "badges" in columns:
            _left_in_hands(rows, mistakes)
        _left_unpaid(rows, mistakes)
    bad = _lines(mistakes)
    good = [row for row in rows if row.line not in bad]
    mistakes.sort(key=lambda mistake: mistake.line)
    return File(frozenset(columns), good, table.notes, mistakes, frozenset(row.id for row in rows))


def _rows(table: Table, columns: list[str], mistakes: list[Mistake]) -> Iterable[Row]:
    for line, cells in table.rows:
        if len(cells) != len(columns):
            text = ngettext(
                "found %(found)d field, wanted %(wanted)d, one a column; put a field with %(separator)s in quotes",
                "found %(found)d fields, wanted %(wanted)d, one a column; put a field with %(separator)s in quotes",
                len(cells),
            )
            said = {"found": len(cells), "wanted": len(columns), "separator": table.separator}
            mistakes.append(Mistake(line, text % said))
            continue
        values = dict(zip(columns, cells, strict=True))
        missing = {name: cell for name, cell in values.items() if isinstance(cell, Missing)}
        mistakes += [Mistake(line, no_value(name, cell)) for name, cell in missing.items()]
        if "id" not in missing:
            yield row_of(line, {name: "" if name in missing else values[name].strip() for name in columns}, mistakes)


def _collisions(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Refuse one id or one badge for two people, in the file or against who is known already."""
    ids: dict[str, int] = {}
    holders: dict[str, tuple[str, int]] = {}
    for row in rows:
        if row.id in ids:
            text = _("id: '%(id)s' is on line %(line)d already")
            mistakes.append(
                Mistake(row.line, text % {"id": names.shown(row.id[:64]), "line": ids[row.id]}, ids[row.id])
            )
        ids.setdefault(row.id, row.line)
        for found in map(str, row.badges):
            if found in holders:
                member, line = holders[found]
                text = _("badges: %(badge)s is the badge of '%(id)s' on line %(line)d")
                mistakes.append(
                    Mistake(row.line, text % {"badge": found, "id": names.shown(member[:64]), "line": line}, line)
                )
            holders.setdefault(found, (row.id, row.line))
    mistakes += _held_by_others(_carried(), rows, ids)


def _left_in_hands(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Leave out who gets the badge of somebody whose own line cannot be taken: they keep it."""
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
    """Return a mistake for each of the badges `carried` that is in the hands of somebody who is not among `ids`."""
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
            text = _("badges: %(badge)s is the badge of %(whose)s already")
            mistakes.append(Mistake(lines[spelling], text % {"badge": spelling, "whose": whose}))
    return mistakes


def _payers(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Refuse a payer who is neither a member nor to become one by this file."""
    known = {*Member.objects.values_list("id", flat=True), *(row.id for row in rows)}
    named = [(row.line, row.payer_id) for row in rows if row.payer_id is not None]
    text = _("payer: found no member '%(id)s'; wanted a member's id, or write them on a line of their own")
    nearly = _("payer: found no member '%(id)s'; did you mean '%(near)s'?")
    mistakes += _unknown(named, known, text, nearly)


def _left_unpaid(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Leave out whose payer would only become a member by a line that cannot be taken."""
    bad, known = _lines(mistakes), set(Member.objects.values_list("id", flat=True))
    waiting: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.payer_id is not None and row.line not in bad:
            waiting[row.payer_id].append(row)
    nobody = [row.id for row in rows if row.line in bad and row.id not in known]
    while nobody:
        for row in waiting.pop(nobody.pop(), ()):
            text = _("payer: '%(id)s' is no member yet, and their own line cannot be taken")
            mistakes.append(Mistake(row.line, text % {"id": names.shown((row.payer_id or "")[:64])}))
            if row.id not in known:
                nobody.append(row.id)


def _machines(rows: list[Row], mistakes: list[Mistake]) -> None:
    known = set(Machine.objects.values_list("name", flat=True))
    nothing = _("(there is none: let a gate in with gate-add)")
    for row in rows:
        for name in row.machines:
            if name not in known:
                text = _("machines: found '%(found)s', wanted one of: %(wanted)s")
                wanted = ", ".join(sorted(known)) or nothing
                mistakes.append(Mistake(row.line, text % {"found": names.shown(name[:63]), "wanted": wanted}))


def _strangers(rows: list[Row], mistakes: list[Mistake]) -> None:
    """Refuse who is new in a file without badges: it changes those who are there, and the id is more likely wrong."""
    known = set(Member.objects.values_list("id", flat=True))
    named = [(row.line, row.id) for row in rows if row.id]
    text = _("id: found no member '%(id)s'; a new member needs the column 'badges' too")
    mistakes += _unknown(named, known, text, _("id: found no member '%(id)s'; did you mean '%(near)s'?"))


def _unknown(named: Iterable[tuple[int, str]], known: set[str], text: str, nearly: str) -> list[Mistake]:
    """Return a mistake for each (line, id) that nobody has: `text`, or `nearly` where somebody's id is nearly that."""
    mistakes: list[Mistake] = []
    for line, found in named:
        if found not in known:
            near = difflib.get_close_matches(found, known, 1) if len(mistakes) < MOST_GUESSED else []
            said = {"id": names.shown(found[:64]), "near": "".join(near)}
            mistakes.append(Mistake(line, (nearly if near else text) % said))
    return mistakes


def _lines(mistakes: Iterable[Mistake]) -> set[int]:
    """Return the lines that cannot be taken."""
    return {line for mistake in mistakes for line in (mistake.line, mistake.also) if line is not None}

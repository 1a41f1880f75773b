"""Reads and checks a list of members, and reports every error with its line.

Columns are named in English or French. A missing column changes nothing; an empty cell clears the field.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from fabgate import badge
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import Badge, Machine, Member, Payer, Plan
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import names
from fabgate.collector.members.people.import_list import list_file
from fabgate.collector.members.people.import_list.columns import MEMBERS, Mistake
from fabgate.collector.members.people.import_list.list_file import ListFile, bad_lines, unknown_ids
from fabgate.collector.members.people.import_list.rows import ImportedMember, parse_row
from fabgate.collector.members.people.import_list.table import Table, read_table


@dataclass(frozen=True, slots=True)
class File(ListFile):
    """A list of members. `rows` are those without errors, `ids` all ids in the file."""

    rows: list[ImportedMember]
    ids: frozenset[str]


def read(path: Path, *, dates: str = "") -> File:
    """Read and check a whole file: see list_file.read."""
    return list_file.read(path, parse, dates=dates)


def parse(raw: bytes, name: str = "", *, dates: str = "") -> File:
    """Read and check a file's content. Raises UsageError where its format or its columns cannot be read.

    `dates` is one of dates.ORDERS, and only counts where the dates are ambiguous.
    """
    return parse_table(read_table(raw, name), dates=dates)


def parse_table(table: Table, *, dates: str = "") -> File:
    """Check the content of a table. Raises UsageError for a mistake in its header."""
    mistakes: list[Mistake] = []
    columns, date_reader = MEMBERS.header_and_dates(table, dates)
    rows = [
        parse_row(record.line, record.values, date_reader, mistakes)
        for record in MEMBERS.records(table, columns, mistakes)
        if "id" not in record.missing
    ]
    _collisions(rows, mistakes)
    _machines(rows, mistakes)
    _plans(rows, mistakes)
    _unknown_members(rows, columns, mistakes)
    _payers(rows, mistakes)
    known = -1
    while known != len(mistakes):  # a row that is left out may be needed by others
        known = len(mistakes)
        if "badges" in columns:
            _exclude_held_badges(rows, mistakes)
        _exclude_unpaid(rows, mistakes)
    bad = bad_lines(mistakes)
    good = [row for row in rows if row.line not in bad]
    mistakes.sort(key=lambda mistake: mistake.line)
    ids = frozenset(row.id for row in rows)
    # A row has its given name and surname as one name.
    stored = frozenset("name" if column == "first_name" else column for column in columns)
    return File(stored, table.notes, mistakes, date_reader, rows=good, ids=ids)


def by_digest(rows: Collection[ImportedMember]) -> dict[str, str]:
    """Return the spellings of the badges in these rows by their digests: a badge enrolled by a tap has no other name."""
    key = roster.badge_key(settings.ENVIRONMENT)
    return {badge.digest(found, key): str(found) for row in rows for found in row.badges}


def _collisions(rows: list[ImportedMember], mistakes: list[Mistake]) -> None:
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


def _exclude_held_badges(rows: list[ImportedMember], mistakes: list[Mistake]) -> None:
    """Leave out rows that take a badge from a member whose own row has errors, and who therefore keeps it."""
    carried = _carried()
    while True:
        bad = bad_lines(mistakes)
        good = [row for row in rows if row.line not in bad]
        more = _held_by_others(carried, good, {row.id: row.line for row in good})
        if not more:
            return
        mistakes += more


def _carried() -> list[Badge]:
    return list(Badge.objects.filter(ended_at=None).select_related("group").order_by("id"))


def _held_by_others(carried: list[Badge], rows: list[ImportedMember], ids: dict[str, int]) -> list[Mistake]:
    """Return an error for each badge in the file that is among `carried`, by a holder who is not among `ids`."""
    lines = {str(found): row.line for row in rows for found in row.badges}
    spelled = by_digest(rows) if any(not held.spelling for held in carried) else {}
    mistakes = []
    for held in carried:
        spelling = held.spelling or spelled.get(held.digest, "")
        if spelling in lines and held.holder not in ids:
            text = (
                _("badges: %(badge)s already belongs to '%(whose)s'")
                if held.member_id
                else _("badges: %(badge)s already belongs to the group %(whose)s")
            )
            mistakes.append(Mistake(lines[spelling], text % {"badge": spelling, "whose": held.member_id or held.group}))
    return mistakes


def _payers(rows: list[ImportedMember], mistakes: list[Mistake]) -> None:
    """Find organisations by their names, and report payers that are unknown, ambiguous or ended."""
    organisations = {payer.pk: payer for payer in Payer.organisations()}
    known = {*Member.objects.values_list("id", flat=True), *(row.id for row in rows), *organisations}
    by_name: dict[str, list[Payer]] = defaultdict(list)
    for payer in sorted(organisations.values(), key=lambda payer: payer.ended_on is not None):
        by_name[payer.folded].append(payer)
    named: list[tuple[int, str]] = []
    for row in rows:
        if row.payer_id is None:
            continue
        same = [] if row.payer_id in known else by_name.get(folded(row.payer_id), [])
        if len(same) > 1 and same[1].ended_on is None:
            text = _("payer: several organisations are called '%(name)s'; enter one of these ids: %(ids)s")
            ids = ", ".join(sorted(payer.pk for payer in same if payer.ended_on is None))
            mistakes.append(Mistake(row.line, text % {"name": names.shown(row.payer_id[:64]), "ids": ids}))
            continue
        row.payer_id = same[0].pk if same else row.payer_id
        payer_found = organisations.get(row.payer_id)
        if payer_found is not None and payer_found.ended_on is not None:
            text = _("payer: '%(name)s' was closed on %(day)s; reopen it first, or enter another payer")
            values = {"name": payer_found.name, "day": payer_found.ended_on.isoformat()}
            mistakes.append(Mistake(row.line, text % values))
        named.append((row.line, row.payer_id))
    text = _(
        "payer: no member or organisation '%(id)s'; enter a member's number or an organisation's name, or add a"
        " line for this payer"
    )
    nearly = _("payer: no member or organisation '%(id)s'; did you mean '%(near)s'?")
    mistakes += unknown_ids(named, known, text, nearly, {payer.name for payer in organisations.values()})


def _exclude_unpaid(rows: list[ImportedMember], mistakes: list[Mistake]) -> None:
    """Leave out rows whose payer would be added by a row with errors."""
    bad, known = bad_lines(mistakes), set(Member.objects.values_list("id", flat=True))
    waiting: dict[str, list[ImportedMember]] = defaultdict(list)
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


def _machines(rows: list[ImportedMember], mistakes: list[Mistake]) -> None:
    known = set(Machine.objects.values_list("name", flat=True))
    nothing = _("(none yet: add a machine first)")
    for row in rows:
        for name in row.machines:
            if name not in known:
                text = _("machines: found '%(found)s', wanted one of: %(wanted)s")
                wanted = ", ".join(sorted(known)) or nothing
                mistakes.append(Mistake(row.line, text % {"found": names.shown(name[:63]), "wanted": wanted}))


def _plans(rows: list[ImportedMember], mistakes: list[Mistake]) -> None:
    """Write each plan as it is stored, and report those that do not exist: plans have prices, so a list makes none."""
    known = sorted(Plan.objects.values_list("name", flat=True))
    spelled = {name.casefold(): name for name in known}
    for row in rows:
        if not row.plan or row.plan in known or names.unseen(row.plan) or len(row.plan) > Plan.LONGEST_NAME:
            continue
        if (name := spelled.get(row.plan.casefold())) is not None:
            row.plan = name
            continue
        near = difflib.get_close_matches(row.plan, known, 1)
        text = _("plan: no plan '%(found)s'; did you mean '%(near)s'?")
        if not near:
            text = _("plan: found '%(found)s', wanted one of: %(wanted)s")
        wanted = ", ".join(known) or _("(none yet: add a plan first)")
        values = {"found": names.shown(row.plan[:60]), "near": "".join(near), "wanted": wanted}
        mistakes.append(Mistake(row.line, text % values))


def _unknown_members(rows: list[ImportedMember], columns: Collection[str], mistakes: list[Mistake]) -> None:
    """Report unknown ids in rows that say nothing about a new person: such an id is probably wrong.

    A row adds a person if its file has badges, or the row has a name; whoever imports the file confirms each of them.
    """
    if "badges" in columns:
        return
    known = set(Member.objects.values_list("id", flat=True))
    named = [(row.line, row.id) for row in rows if row.id and not row.name]
    text = _("id: no member '%(id)s'; to add this person, fill in the name")
    mistakes += unknown_ids(named, known, text, _("id: no member '%(id)s'; did you mean '%(near)s'?"))

"""Reads and checks a list of trainings: who completed which one, and from which day on it is valid."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from django.utils.translation import gettext as _

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.models import Grant, Member, Training
from fabgate.collector.members.people import names, trainers
from fabgate.collector.members.people.import_list import list_file
from fabgate.collector.members.people.import_list.columns import TRAININGS, Mistake, Record
from fabgate.collector.members.people.import_list.dates import DateReader
from fabgate.collector.members.people.import_list.list_file import ListFile, bad_lines, unknown_ids
from fabgate.collector.members.people.import_list.rows import wanted_date
from fabgate.collector.members.people.import_list.table import Table, read_table
from fabgate.errors import UsageError

#: The stages that a list may name, in English and French. A list cannot suspend: a suspension is decided about one person.
STAGES: Final[Mapping[str, str]] = {
    "": Grant.AUTONOMOUS,
    "autonomous": Grant.AUTONOMOUS,
    "autonome": Grant.AUTONOMOUS,
    "supervised": Grant.SUPERVISED,
    "with a supervisor": Grant.SUPERVISED,
    "encadré": Grant.SUPERVISED,
    "encadrée": Grant.SUPERVISED,
    "avec un encadrant": Grant.SUPERVISED,
    "instructor": Grant.INSTRUCTOR,
    "instructeur": Grant.INSTRUCTOR,
    "instructrice": Grant.INSTRUCTOR,
    "référent": Grant.INSTRUCTOR,
    "référente": Grant.INSTRUCTOR,
}


@dataclass(frozen=True, slots=True)
class TrainingsFile(ListFile):
    """A list of trainings. `grants` are the rows without errors; they are not stored."""

    grants: list[Grant]


def read(path: Path, *, dates: str = "") -> TrainingsFile:
    """Read and check a whole file: see list_file.read."""
    return list_file.read(path, parse, dates=dates)


def parse(raw: bytes, name: str = "", *, dates: str = "") -> TrainingsFile:
    """Read and check a file's content. Raises UsageError where its format or its columns cannot be read.

    `dates` is one of dates.ORDERS, and only counts where the dates are ambiguous.
    """
    return parse_table(read_table(raw, name), dates=dates)


def parse_table(table: Table, *, dates: str = "") -> TrainingsFile:
    """Check the content of a table. Raises UsageError for a mistake in its header."""
    mistakes: list[Mistake] = []
    columns, date_reader = TRAININGS.header_and_dates(table, dates)
    rows = _Rows(date_reader, mistakes)
    records = [record for record in TRAININGS.records(table, columns, mistakes) if not record.missing]
    mistakes += _unknown_members(records, rows.members)
    grants = [(record.line, grant) for record in records if (grant := rows.grant(record)) is not None]
    mistakes += _repeated(grants)
    bad = bad_lines(mistakes)
    good = [grant for line, grant in grants if line not in bad]
    mistakes.sort(key=lambda mistake: mistake.line)
    return TrainingsFile(frozenset(columns), table.notes, mistakes, date_reader, good)


class _Rows:
    """Makes grants of rows, and appends their errors to `mistakes`."""

    def __init__(self, dates: DateReader, mistakes: list[Mistake]) -> None:
        self._dates = dates
        self._mistakes = mistakes
        self.members = Member.objects.only("id", "name", "left_on").in_bulk()
        self._trainings = {training.name: training for training in Training.objects.order_by("title", "name")}
        self._titles: dict[str, list[Training]] = defaultdict(list)
        for training in self._trainings.values():
            self._titles[folded(training.title)].append(training)
        #: The stored name or the error of each trainer; a list names the same few in all its rows.
        self._trainers: dict[str, str | UsageError] = {}

    def grant(self, record: Record) -> Grant | None:
        """Return the grant of a row, or None where it has errors."""
        before, member = len(self._mistakes), self.members.get(record.values["id"])
        if not record.values["id"]:
            self._wrong(record, "id", _("found nothing, wanted a member's number"))
        training, stage = self._training(record), self._stage(record)
        since, until = self._day(record, "since"), self._day(record, "until")
        trainer = self._trainer(record)
        if since is None and not record.values["since"]:
            self._wrong(record, "since", _("found nothing, wanted the first day, such as 2026-12-31"))
        elif since is not None and until is not None and until < since:
            self._wrong(record, "until", _("found %(found)s, wanted %(since)s or a later day"), since=since)
        elif since is not None and member is not None and member.left_on is not None and member.left_on <= since:
            text = _("%(member)s left on %(day)s; readmit them first")
            self._wrong(record, "id", text, member=member, day=member.left_on)
        if len(self._mistakes) > before or member is None or training is None or since is None:
            return None
        return Grant(member=member, training=training, stage=stage, since=since, until=until, trainer=trainer)

    def _training(self, record: Record) -> Training | None:
        typed = record.values["training"]
        matches = [self._trainings[typed]] if typed in self._trainings else self._titles.get(folded(typed), [])
        if len(matches) == 1:
            return matches[0]
        if matches:
            text = _("several trainings are called '%(found)s'; use one of the short names: %(names)s")
            self._wrong(record, "training", text, names=", ".join(one.name for one in matches))
            return None
        known = [*self._trainings, *(training.title for training in self._trainings.values())]
        near = difflib.get_close_matches(typed, known, 1)
        text = _("no training '%(found)s'; did you mean '%(near)s'?")
        if not near:
            text = _("found '%(found)s', wanted one of %(wanted)s")
        wanted = ", ".join(self._trainings) or _("(none yet: add a training first)")
        self._wrong(record, "training", text, near="".join(near), wanted=wanted)
        return None

    def _stage(self, record: Record) -> str:
        typed = names.line(record.values.get("stage", "")).casefold()
        if typed in STAGES:
            return STAGES[typed]
        self._wrong(record, "stage", _("found '%(found)s', wanted autonomous, supervised or instructor"))
        return ""

    def _day(self, record: Record, column: str) -> date | None:
        typed = record.values.get(column)
        try:
            return self._dates.read(typed) if typed else None
        except ValueError as error:
            text, named = wanted_date(self._dates, error)
            self._wrong(record, column, text, **named)
            return None

    def _trainer(self, record: Record) -> str:
        typed = record.values.get("trainer", "")
        if typed not in self._trainers:
            try:
                self._trainers[typed] = trainers.stored_name(typed) if typed else ""
            except UsageError as error:
                self._trainers[typed] = error
        found = self._trainers[typed]
        if isinstance(found, str):
            return found
        self._mistakes.append(Mistake(record.line, TRAININGS.mistake("trainer", str(found))))
        return ""

    def _wrong(self, record: Record, column: str, text: str, **values: object) -> None:
        filled = text % {"found": names.shown(record.values[column][:63]), **values}
        self._mistakes.append(Mistake(record.line, TRAININGS.mistake(column, filled)))


def _unknown_members(records: Iterable[Record], members: Mapping[str, Member]) -> list[Mistake]:
    ids = [(record.line, record.values["id"]) for record in records if record.values["id"]]
    text = _("id: no member '%(id)s'; add this person first")
    return unknown_ids(ids, set(members), text, _("id: no member '%(id)s'; did you mean '%(near)s'?"))


def _repeated(grants: Iterable[tuple[int, Grant]]) -> list[Mistake]:
    """Report rows that grant the same training to the same member from the same day."""
    lines: dict[tuple[str, int, date], int] = {}
    mistakes = []
    for line, grant in grants:
        first = lines.setdefault((grant.member_id, grant.training_id, grant.since), line)
        if first != line:
            text = _("training: %(member)s already has %(training)s from the same day, on line %(line)d")
            values = {"member": grant.member, "training": grant.training, "line": first}
            mistakes.append(Mistake(line, text % values, first))
    return mistakes

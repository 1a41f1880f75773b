"""Compares every table that people change with the values that the audit log has for each row.

Which tables and columns are left out is in unchecked.py. A new table, or a new column, is compared by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.apps import apps
from django.db import models

from fabgate.collector.ground.db import audit, statements
from fabgate.collector.ground.db.logged import AT_ONCE, Logged, Table, Value
from fabgate.collector.ground.models import PrepaidEntry
from fabgate.collector.processes.verify import guard
from fabgate.collector.processes.verify.findings import Report, as_text
from fabgate.collector.processes.verify.tables import unchecked

_NONE: Final = Value(None, datetime.min, "")  # noqa: DTZ901 (it is never shown)
NOT_LOGGED: Final = "the audit log does not have it"


def tables() -> Iterator[tuple[str, type[models.Model]]]:
    """Yield each table that is compared with the log, by what findings call it."""
    for model in apps.get_app_config("collector").get_models():
        table = model.__name__.lower()
        if table not in unchecked.ELSEWHERE and table not in unchecked.TABLES:
            yield table, model


def columns(model: type[models.Model]) -> list[str]:
    """Return the columns of a table that are compared with the log, and its many-to-many fields."""
    table = model.__name__.lower()
    return [name for name in audit.fields_of(model) if f"{table}.{name}" not in unchecked.COLUMNS]


def check(report: Report) -> None:
    """Compare all tables: a value, a row that the log does not have, and one that only the log has."""
    for table, model in tables():
        guard.carry_out(report, table, partial(compare, report, model))


def compare(report: Report, model: type[models.Model]) -> None:
    """Compare one table."""
    _Comparison(report, model).run()


class _Comparison:
    """Compares one table, some rows at a time."""

    def __init__(self, report: Report, model: type[models.Model]) -> None:
        self._report, self._table, self._model = report, model.__name__.lower(), model
        self._fields = columns(model)
        #: The values of a row from before a later version added a field: the log does not have them.
        self._defaults = _defaults(model, self._fields)
        self._logged = Table(model, fields=self._fields)
        self._has_name = audit.has_own_name(model)

    def run(self) -> None:
        """Compare the rows that are stored, then those that only the log has."""
        rows, seen = self._stored().order_by("pk"), []
        ids = rows.values_list("pk", flat=True).iterator(AT_ONCE)
        for page in statements.pages(ids, AT_ONCE):
            guard.each(self._report, self._table, page, self._compare, str)
            if self._has_name:
                seen += page
        if self._table not in unchecked.MADE_WITHOUT_LOG:
            for pk, wanted in self._logged.without(seen):
                report_missing(self._report, self._table, self._called(pk, wanted), wanted.values())

    def _stored(self) -> models.QuerySet[Any]:
        """Return the rows that the log should have: a month uses credit without it, under its own seal."""
        rows = self._model._base_manager.all()  # noqa: SLF001 (Django's name for it)
        return rows.exclude(kind=PrepaidEntry.USED) if self._model is PrepaidEntry else rows

    def _compare(self, pks: Sequence[Any]) -> None:
        logged = self._logged.of(pks)
        stored = audit.stored(self._model, pks, fields=self._fields)
        for pk in pks:
            self._report.compared[self._table] += 1
            if (wanted := logged.get(pk)) is None and self._table not in unchecked.MADE_WITHOUT_LOG:
                self._report.added(self._table, stored[pk]["name"] if self._has_name else pk, NOT_LOGGED)
            else:
                self._compare_row(pk, stored[pk], wanted or {})

    def _compare_row(self, pk: Any, found: Mapping[str, Any], wanted: Logged) -> None:
        where = self._table, self._called(pk, wanted)
        for column in self._fields:
            name = audit.SECRETS.get(column, column)
            value = found.get(name)
            if name in wanted or not audit.is_same(value, self._defaults[name]):
                _compare(self._report, where, column, value, wanted.get(name, _NONE))

    def _called(self, pk: Any, wanted: Logged) -> str:
        """Return what a finding calls a row: the name that the log has, if it is unique, or else the id."""
        return str(wanted["name"].value) if self._has_name and "name" in wanted else str(pk)


def _defaults(model: type[models.Model], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of fields in a row that never had others, as `audit.stored` returns them."""
    found: dict[str, Any] = {}
    fields = {field.name: field for field in model._meta.concrete_fields}  # noqa: SLF001 (as above)
    for name in names:
        value = fields[name].get_default() if name in fields else []  # else it is a many-to-many field
        found[audit.SECRETS.get(name, name)] = None if name in audit.SECRETS else audit.plain(value)
    return found


def report_missing(report: Report, table: str, row: str, values: Iterable[Value]) -> None:
    """Add that a row is missing whose newest value is one of `values`."""
    newest = max(values, key=lambda one: one.at, default=_NONE)
    report.missing(table, row, f"the audit log has it since {as_text(newest.at)}, by {newest.actor}")


def _compare(report: Report, where: tuple[str, str], name: str, found: Any, wanted: Value) -> None:
    """Compare one value; of JSON objects, each of their values."""
    if audit.is_same(found, wanted.value):
        return
    since = None if wanted is _NONE else wanted.at
    if not (isinstance(found, dict) and isinstance(wanted.value, dict)):
        report.changed(*where, name, found, wanted.value, since=since)
        return
    for part in sorted(found.keys() | wanted.value.keys()):
        if part in found and part in wanted.value:
            _compare(report, where, f"{name}.{part}", found[part], Value(wanted.value[part], wanted.at, wanted.actor))
        else:
            one, other = (_shown(values, part) for values in (found, wanted.value))
            report.changed(*where, f"{name}.{part}", one, other, since=since)


def _shown(values: Mapping[str, Any], part: str) -> Any:
    """Return a value of a JSON object, and "null" for one that is there but null."""
    return "null" if values.get(part, "") is None else values.get(part)

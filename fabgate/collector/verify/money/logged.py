"""Compares tables with the values that the audit log has for each row, and tells since when it has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import models

from fabgate.collector.db import audit
from fabgate.collector.models import Change
from fabgate.collector.verify.findings import Report, as_text
from fabgate.collector.verify.snapshot import PAGE


class Value(NamedTuple):
    """A value, since when the log has it, and by whom."""

    value: Any
    at: datetime
    actor: str


#: The values of one row as the log has them, by field.
Logged = Mapping[str, Value]
_NONE: Final = Value(None, datetime.min, "")  # noqa: DTZ901 (it is never shown)
NOT_LOGGED: Final = "the audit log does not have it"


def rows(table: str) -> dict[str, Logged]:
    """Return the values of each row that was added and not removed, by its id or else by what the log calls it."""
    found: dict[str, dict[str, Value]] = {}
    changes = Change.objects.filter(kind=table).order_by("pk")
    for key, before, after, at, actor in changes.values_list("key", "before", "after", "at", "actor").iterator(PAGE):
        if before and not after:
            found.pop(key, None)
        elif isinstance(after, dict):  # or else somebody changed the log, which its seal shows
            found.setdefault(key, {}).update({name: Value(value, at, actor) for name, value in after.items()})
    return {str(values["id"].value) if "id" in values else key: values for key, values in found.items()}


def compare(
    report: Report,
    model: type[models.Model],
    *,
    stored: models.QuerySet[Any] | None = None,
    called: Callable[[str, Logged], str] = lambda key, _values: key,
) -> None:
    """Add what differs: a value, a row that the log does not have, and one that only the log has.

    `stored` are the rows that the log should have: without it all of them. `called` returns what a finding calls a row,
    from its id and its logged values.
    """
    table, own = model.__name__.lower(), audit.fields_of(model)
    defaults = {field.name: field.get_default() for field in model._meta.concrete_fields}  # noqa: SLF001 (as below)
    logged = rows(table)
    found = model._default_manager.all() if stored is None else stored  # noqa: SLF001 (Django's name for it)
    for row in found.order_by("pk").values("pk", *own).iterator(PAGE):
        report.compared[table] += 1
        key = str(row.pop("pk"))
        if (wanted := logged.pop(key, None)) is None:
            report.added(table, key, NOT_LOGGED)
            continue
        for name, value in audit.as_logged(model, key, row).items():
            if name not in wanted and value == defaults[name]:
                continue  # a later version added the field: earlier rows of the log do not have it
            _compare(report, (table, called(key, wanted)), name, value, wanted.get(name, _NONE))
    for key, wanted in logged.items():
        report_missing(report, table, called(key, wanted), wanted.values())


def report_missing(report: Report, table: str, row: str, values: Iterable[Value]) -> None:
    """Add that a row is missing whose newest value is one of `values`."""
    newest = max(values, key=lambda one: one.at, default=_NONE)
    report.missing(table, row, f"the audit log has it since {as_text(newest.at)}, by {newest.actor}")


def _compare(report: Report, where: tuple[str, str], name: str, found: Any, wanted: Value) -> None:
    """Compare one value; of JSON objects, each of their values."""
    if isinstance(found, dict) and isinstance(wanted.value, dict):
        for part in sorted(found.keys() | wanted.value.keys()):
            one = Value(wanted.value.get(part), wanted.at, wanted.actor)
            _compare(report, where, f"{name}.{part}", found.get(part), one)
    elif as_text(found) != as_text(wanted.value):
        report.changed(*where, name, found, wanted.value, since=None if wanted is _NONE else wanted.at)

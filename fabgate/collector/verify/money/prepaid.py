"""Compares settlements, credits and refunds with the audit log. The seal of a closed month covers its total."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import QuerySet

from fabgate.collector.billing import terms
from fabgate.collector.db import audit
from fabgate.collector.models import Change, PrepaidChange, PrepaidEntry
from fabgate.collector.verify.findings import Report, as_text
from fabgate.collector.verify.snapshot import PAGE

_MODELS: Final = (PrepaidChange, PrepaidEntry)
_NOT_LOGGED: Final = "the audit log does not have it"


def check(report: Report) -> None:
    """Add what differs: a value, a row that the log does not have, and one that only the log has."""
    for model in _MODELS:
        table = model.__name__.lower()
        logged = _logged(table)
        for row in _rows(model):
            report.compared[table] += 1
            key = str(row["id"])
            if (wanted := logged.pop(key, None)) is None:
                report.added(table, key, _NOT_LOGGED)
                continue
            for name, found in row.items():
                if as_text(found) != as_text(wanted.get(name)):
                    report.changed(table, key, name, found, wanted.get(name))
        for key, wanted in logged.items():
            who = f"{wanted.get('payer') or 'everybody'}, {wanted.get('amount_minor', wanted.get('since'))}"
            report.missing(table, key, f"the audit log has it: {who}")
    _check_used(report)


def _check_used(report: Report) -> None:
    """Report entries with the total of a month that is not closed."""
    used = PrepaidEntry.objects.filter(kind=PrepaidEntry.USED).order_by("pk")
    if (first := terms.first_open_day()) is not None:
        used = used.filter(day__gte=first)
    for pk in used.values_list("pk", flat=True):
        report.added("prepaidentry", pk, "its month is not closed")


def _logged(table: str) -> dict[str, dict[str, Any]]:
    """Return the newest values of each row in the audit log, by key."""
    found: dict[str, dict[str, Any]] = {}
    for key, after in Change.objects.filter(kind=table).order_by("pk").values_list("key", "after").iterator(PAGE):
        found.setdefault(key, {}).update(after)
    return found


def _rows(model: type[PrepaidChange | PrepaidEntry]) -> Iterator[dict[str, Any]]:
    rows: QuerySet[Any] = PrepaidChange.objects.all()
    if model is PrepaidEntry:
        rows = PrepaidEntry.objects.exclude(kind=PrepaidEntry.USED)
    yield from rows.order_by("pk").values(*audit.fields_of(model)).iterator(PAGE)

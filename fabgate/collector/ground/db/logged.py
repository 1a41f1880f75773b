"""Reads the values that the audit log has for the rows of a table: the newest of each field.

Some rows of the log record an event, such as a mail that was sent. They have no field of the table, or one with the value
that it has already: they change nothing here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

from django.core.exceptions import ValidationError
from django.db import models

from fabgate.collector.ground.db import audit, statements
from fabgate.collector.ground.models import Change

#: How many rows are read at once.
AT_ONCE: Final = 500


class Value(NamedTuple):
    """A value, since when the log has it, and by whom."""

    value: Any
    at: datetime
    actor: str


#: The values of one row by field, as `audit.stored` returns them.
Logged = Mapping[str, Value]


class _Row(NamedTuple):
    """A row of the log about one object."""

    key: str
    pk: int
    before: Any
    after: Any
    at: datetime
    actor: str


class Table:
    """What the log has about the rows of one model. Memory does not grow with their number, unless they have names.

    A row is known by its id. The log calls some by their names, which may change: these are read at once, being few.
    """

    def __init__(self, model: type[models.Model], *, fields: Collection[str] | None = None) -> None:
        self._model = model
        self._pk = model._meta.pk.name  # noqa: SLF001 (Django's name for it)
        self._kind = model._meta.model_name or ""  # noqa: SLF001 (as above)
        names = audit.fields_of(model) if fields is None else fields
        self._names = frozenset(audit.SECRETS.get(name, name) for name in names)

    def of(self, pks: Sequence[Any]) -> dict[Any, Logged]:
        """Return the values of the rows with these ids, without those that the log does not have, or has as removed."""
        if audit.has_own_name(self._model):
            return {pk: self._named[pk] for pk in pks if pk in self._named}
        by_key = {str(pk): pk for pk in pks}
        found: dict[str, list[_Row]] = defaultdict(list)
        changes = Change.objects.filter(kind=self._kind)
        for values in statements.rows_among(changes, "key", list(by_key), "pk", "before", "after", "at", "actor"):
            found[values[0]].append(_Row(*values))
        folded = ((by_key[key], self._folded(rows)) for key, rows in found.items())
        return {pk: values for pk, values in folded if values}

    def without(self, stored: Iterable[Any]) -> Iterator[tuple[Any, Logged]]:
        """Yield the ids and values that the log has of rows that are not among `stored`, the ids in the table."""
        if audit.has_own_name(self._model):
            gone = self._named.keys() - set(stored)
            yield from ((pk, self._named[pk]) for pk in sorted(gone))
            return
        keys = Change.objects.filter(kind=self._kind).order_by("key").values_list("key", flat=True).distinct()
        for page in statements.pages(keys.iterator(AT_ONCE), AT_ONCE):
            pks = {pk for key in page if (pk := self._id_in(key)) is not None}
            rows = self._model._base_manager.all()  # noqa: SLF001 (as above)
            held = {pk for (pk,) in statements.rows_among(rows, "pk", sorted(pks))}
            yield from sorted(self.of(sorted(pks - held)).items())

    @cached_property
    def _named(self) -> dict[Any, Logged]:
        """Return the values of all rows by their ids, for a model whose rows the log calls by their names."""
        own: dict[str, list[_Row]] = {}
        columns = "key", "pk", "before", "after", "at", "actor"
        for values in Change.objects.filter(kind=self._kind).order_by("pk").values_list(*columns).iterator(AT_ONCE):
            row = _Row(*values)
            was = row.before.get("name") if isinstance(row.before, dict) else None
            now = row.after.get("name") if isinstance(row.after, dict) else None
            # The log calls a renamed one by either name.
            rows = own.pop(row.key, None) or ([] if was is None else own.pop(str(was), []))
            if not self._removes(row):
                own[str(now or row.key)] = rows
                rows.append(row)
        found = {}
        for rows in own.values():
            values = self._folded(rows)
            if values and (pk := self._id_in(values[self._pk].value if self._pk in values else None)) is not None:
                found[pk] = values
        return found

    def _folded(self, rows: Iterable[_Row]) -> Logged:
        """Return the newest values; none if the row was removed."""
        found: dict[str, Value] = {}
        for row in sorted(rows, key=lambda row: row.pk):
            if self._removes(row):
                found = {}
            elif isinstance(row.after, dict):  # or else somebody changed the log, which its seal shows
                known = row.after.keys() & self._names
                found.update({name: Value(row.after[name], row.at, row.actor) for name in known})
                for name in self._emptied(row):
                    found.pop(name, None)
        return found

    def _emptied(self, row: _Row) -> set[str]:
        """Return the digests of secrets that the row of the log tells to have been removed: an empty secret has none."""
        was = row.before.keys() if isinstance(row.before, dict) else set()
        return {name for name in audit.SECRETS.values() if name in was and name not in row.after}

    def _removes(self, row: _Row) -> bool:
        """Return whether the row of the log tells that the object was removed: then it has its id before."""
        return isinstance(row.before, dict) and self._pk in row.before and not row.after

    def _id_in(self, text: Any) -> Any:
        try:
            return self._model._meta.pk.to_python(text)  # noqa: SLF001 (as above)
        except (ValidationError, ValueError, TypeError, OverflowError):
            return None  # somebody changed the log, which its seal shows

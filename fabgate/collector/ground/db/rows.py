"""Reads rows of a model with a fixed SQL statement.

The ORM builds a new statement for each query, which takes longer than SQLite needs to answer it, and ingest runs some
queries with every batch. Columns and converters are looked up once here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from fabgate.collector.ground.db import statements

M = TypeVar("M", bound=models.Model)
#: (position in a row, column, functions that convert the database's value)
_Column = tuple[int, Any, list[Callable[[Any, Any, Any], Any]]]


class RowReader(Generic[M]):
    """Reads instances of a model."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._fields: list[Any] = list(model._meta.concrete_fields)  # noqa: SLF001 (Django's name for its documented API)
        self._names = [field.attname for field in self._fields]
        table = model._meta.db_table  # noqa: SLF001 (as above)
        self._select = f"SELECT {', '.join(field.column for field in self._fields)} FROM {table}"  # noqa: S608
        self._converters: dict[str, list[_Column]] = {}

    def where(self, **wanted: Collection[Any]) -> list[M]:
        """Return the instances whose columns have one of the `wanted` values."""
        conditions, values = [], []
        for column, among in wanted.items():
            places, chunk = statements.listed(sorted(among))
            conditions.append(f"{column} IN ({places})")
            values += chunk
        database = statements.database()
        to_python = self._to_python(database)
        with statements.cursor() as cursor:
            cursor.execute(f"{self._select} WHERE {' AND '.join(conditions)}", values)
            return [self._made(list(row), to_python, database) for row in cursor.fetchall()]

    def _made(self, values: list[Any], to_python: Sequence[_Column], database: BaseDatabaseWrapper) -> M:
        for place, column, converters in to_python:
            for convert in converters:
                values[place] = convert(values[place], column, database)
        return self._model.from_db(database.alias, self._names, values)

    def _to_python(self, database: BaseDatabaseWrapper) -> list[_Column]:
        """Return the converters of the columns that need one; the same that the ORM uses."""
        if database.vendor not in self._converters:
            columns = [field.get_col(self._model._meta.db_table) for field in self._fields]  # noqa: SLF001 (as above)
            found = [
                (place, column, [*database.ops.get_db_converters(column), *column.get_db_converters(database)])
                for place, column in enumerate(columns)
            ]
            self._converters[database.vendor] = [column for column in found if column[2]]
        return self._converters[database.vendor]

"""Writes many rows with one statement.

Plain SQL instead of the ORM, which stores 35,000 rows a second in batches of 1,000 where ``executemany`` stores
150,000. Every statement works on SQLite and PostgreSQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, Final

from django.db import connection, models

from fabgate.collector.ground.db import statements

#: The types of most values; they are stored as they are.
_PLAIN = (str, int, type(None))
_VALUES = re.compile(r"VALUES (\([^()]*\))")
#: An INSERT of values alone, which COPY does faster; and from how many rows on.
_PLAIN_INSERT = re.compile(r"\s*INSERT INTO (\w+ \([^()]*\))\s+VALUES \((?:%s, )*%s\)")
COPY_FROM: Final = 10


def insert(objects: Sequence[models.Model]) -> None:
    """Insert objects of one model; either all or none of them have an id."""
    if not objects:
        return
    fields = objects[0]._meta.concrete_fields  # noqa: SLF001 (Django's name for its documented API)
    names = [field.attname for field in fields if not field.primary_key or objects[0].pk is not None]
    insert_values(type(objects[0]), names, map(attrgetter(*names), objects))


def insert_values(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows without making objects; `names` are all fields of the model, foreign keys as payer_id, in their order."""
    fields = {field.attname: field for field in model._meta.concrete_fields}  # noqa: SLF001 (as above)
    columns = [fields[name] for name in names]
    named, places = ", ".join(str(field.column) for field in columns), ", ".join(["%s"] * len(names))
    ready = [list(row) for row in rows]
    time = to_database()
    for at, field in enumerate(columns):  # most take their values as they are
        if isinstance(field, models.DateField):  # a DateTimeField is one too
            for row in ready:
                row[at] = time(row[at])
        elif isinstance(field, models.JSONField):
            for row in ready:
                row[at] = plain(row[at], time)
    many(f"INSERT INTO {model._meta.db_table} ({named}) VALUES ({places})", ready)  # noqa: S608, SLF001


def update(objects: Sequence[models.Model], names: Sequence[str]) -> None:
    """Update these fields of objects of one model; foreign keys by their attribute, such as payer_id."""
    if not objects or not names:
        return
    meta = objects[0]._meta  # noqa: SLF001 (as above)
    columns = [field.column for name in names for field in meta.concrete_fields if field.attname == name]
    assignments = ", ".join(f"{column} = %s" for column in columns)
    statement = f"UPDATE {meta.db_table} SET {assignments} WHERE {meta.pk.column} = %s"  # noqa: S608
    many(statement, _rows(objects, [*names, meta.pk.attname]))


def _rows(objects: Sequence[models.Model], names: Sequence[str]) -> list[list[Any]]:
    time = to_database()
    return [[plain(getattr(obj, name), time) for name in names] for obj in objects]


def plain(value: Any, time: Callable[[date | None], Any]) -> Any:
    """Return a value as the database stores it; `time` is the result of ``to_database``."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, date):  # a datetime is one too
        return time(value)
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def to_database() -> Callable[[date | None], Any]:
    """Return a function that converts times and days for the database; faster on SQLite than Django's, which takes 10 us."""
    if connection.vendor == "sqlite":
        return _sqlite_time
    return lambda value: value  # psycopg takes both


def _sqlite_time(value: date | None) -> str | None:
    if not isinstance(value, datetime):
        return None if value is None else value.isoformat()
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ")[:-6]  # without the +00:00


def many(statement: str, rows: Sequence[Sequence[Any]], *, is_distinct: bool = True) -> None:
    """Run a statement for each row; PostgreSQL inserts many at once, but only if all are distinct rows."""
    if not rows:
        return
    values = _VALUES.search(statement)
    if connection.vendor == "sqlite" or values is None or not is_distinct:
        with statements.cursor() as quick:
            quick.executemany(statement, rows)
        return
    plain_insert = _PLAIN_INSERT.fullmatch(statement)
    with connection.cursor() as cursor:
        if plain_insert and len(rows) >= COPY_FROM:
            # Ingest takes 143 us of processor time for an entry so, and 171 with INSERT: no value is quoted and parsed.
            with connection.wrap_database_errors, cursor.copy(f"COPY {plain_insert[1]} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        for chunk in statements.chunks(rows):
            # Each row is rendered alone: psycopg searches the text for placeholders, and caches the result for short
            # texts only.
            several = ", ".join([cursor.mogrify(values[1], row) for row in chunk])
            cursor.execute(f"{statement[: values.start()]}VALUES {several}{statement[values.end() :]}")

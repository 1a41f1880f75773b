"""Changes rows as somebody with access to the database would, without the collector."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import connection


def tamper(statement: str, values: list[Any] | None = None) -> None:
    """Run a statement as somebody with access to the database would, without the collector."""
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(statement.replace("?", "%s"), values or [])
            cursor.execute("SET session_replication_role = DEFAULT")
        return
    name = str(connection.settings_dict["NAME"])
    connection.close()
    with closing(sqlite3.connect(name)) as tool, tool:
        tool.execute("PRAGMA synchronous = OFF")
        tool.execute(statement, values or [])


def other(value: Any) -> Any:
    """Return another value of the same kind; None if there is none."""
    if isinstance(value, (bytes, memoryview)):
        body = bytearray(bytes(value))
        body[len(body) // 2] ^= 1
        return bytes(body)
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, Decimal)):
        return value + (1000 if isinstance(value, int) else 1)
    if isinstance(value, (dict, list)):
        return {"x": 1}
    if isinstance(value, date):
        return value + timedelta(days=1)
    if isinstance(value, time):
        return value.replace(minute=(value.minute + 1) % 60)
    return f"{value[:-1]}{'y' if value.endswith('x') else 'x'}" if isinstance(value, str) else None


def raw(value: Any) -> Any:
    """Return a value as the tool that tampers writes it."""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if connection.vendor != "sqlite":
        return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return str(value) if isinstance(value, (date, time, Decimal)) else value


def put(table: str, column: str, pk: Any, value: Any) -> None:
    """Change one value of one row."""
    model = apps.get_model("collector", table)
    tamper(f'UPDATE {model._meta.db_table} SET "{column}" = ? WHERE {model._meta.pk.column} = ?', [raw(value), pk])

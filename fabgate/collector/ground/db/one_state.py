"""Reads one state of the database while others write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction


@contextmanager
def reading() -> Iterator[None]:
    """Let every query of the block see the same state; nothing can be written in it, and writers do not wait.

    Must not be used inside a transaction.
    """
    if connection.vendor == "sqlite":
        mode: Any = connection.transaction_mode  # type: ignore[attr-defined]  # only SQLite's connection has it
        connection.transaction_mode = "DEFERRED"  # type: ignore[attr-defined]  # IMMEDIATE would keep writers waiting
        try:
            with transaction.atomic(durable=True), _without_writing():
                yield
        finally:
            connection.transaction_mode = mode  # type: ignore[attr-defined]
        return
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def _without_writing() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
        try:
            yield
        finally:
            cursor.execute("PRAGMA query_only = OFF")

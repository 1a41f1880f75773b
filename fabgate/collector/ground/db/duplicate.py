"""Recognises that a row was refused because an equal one exists: it was sent twice, or others were faster."""

from __future__ import annotations

import sqlite3
from typing import Final

from django.db import IntegrityError

#: SQLite's extended result codes (sqlite.org/rescode.html), and PostgreSQL's unique_violation.
_SQLITE: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
_POSTGRESQL: Final = "23505"


def is_there(error: IntegrityError) -> bool:
    """Return whether a unique constraint was violated; a violation of any other constraint is a bug."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode in _SQLITE
    return getattr(cause, "sqlstate", None) == _POSTGRESQL

"""Did the database refuse a row because one like it is there already? Somebody was quicker, or it was sent twice."""

from __future__ import annotations

import sqlite3
from typing import Final

from django.db import IntegrityError

#: SQLite's extended result codes (sqlite.org/rescode.html), and PostgreSQL's unique_violation.
_SQLITE: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
_POSTGRESQL: Final = "23505"


def is_there(error: IntegrityError) -> bool:
    """Return whether it was that; another constraint that is broken is a mistake of ours, and nobody was quicker."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode in _SQLITE
    return getattr(cause, "sqlstate", None) == _POSTGRESQL

"""Recognises a full disk, and skips writes that can then be omitted.

SQLite and PostgreSQL have error codes of their own, files raise ENOSPC; Django wraps the first two.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import DatabaseError

#: https://www.sqlite.org/rescode.html; the second one is a write-ahead log whose index cannot grow.
_SQLITE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
#: disk_full: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: Final = "53100"
_SYSTEM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException | None) -> bool:
    """Return whether `error`, or its cause, means that a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _SYSTEM:
            return True
        if getattr(error, "sqlite_errorcode", None) in _SQLITE or getattr(error, "sqlstate", None) == _POSTGRESQL:
            return True
        error = error.__cause__
    return False


@contextmanager
def unless_full() -> Iterator[None]:
    """Ignore the failure of an unimportant write on a full disk, so that reading still works."""
    try:
        yield
    except DatabaseError as error:
        if not is_full(error):
            raise

"""Was there no room left to write, and what may then be left unwritten?

SQLite and PostgreSQL say it in codes of their own, a file with ENOSPC; Django wraps the first two.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import DatabaseError

#: https://www.sqlite.org/rescode.html; a write-ahead log whose index cannot grow is the second.
_SQLITE: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
#: disk_full: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: Final = "53100"
_SYSTEM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_full(error: BaseException | None) -> bool:
    """Return whether `error`, or what it was made of, says that a disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _SYSTEM:
            return True
        if getattr(error, "sqlite_errorcode", None) in _SQLITE or getattr(error, "sqlstate", None) == _POSTGRESQL:
            return True
        error = error.__cause__
    return False


@contextmanager
def unless_full() -> Iterator[None]:
    """Leave out, on a full disk, what only keeps when somebody was seen: who reads shall go on reading."""
    try:
        yield
    except DatabaseError as error:
        if not is_full(error):
            raise

"""Carries out a part of the verification: what it cannot compare is a finding, and the other parts go on.

Somebody who changes rows can make any code that reads them fail. One such row must not hide all others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError

from fabgate.collector.processes.verify.findings import Report
from fabgate.errors import SealError

_T = TypeVar("_T")
#: Errors of SQLite that no value in a row causes: the file cannot be read, or there is no room for intermediate results.
#: Source: https://www.sqlite.org/rescode.html
_BROKEN: Final = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB),
    }
)
_PRIMARY: Final = 0xFF


def carry_out(report: Report, table: str, part: Callable[[], object], *, row: object = "") -> bool:
    """Run a part about `table`, or about one `row` of it, and return whether it could be carried out.

    If not, that is a finding. Raises the error if the database or the disk fails, and SealError.
    """
    if (why := _attempt(part)) is None:
        return True
    report.unchecked(table, row, why)
    return False


def each(
    report: Report,
    table: str,
    rows: Sequence[_T],
    check: Callable[[Sequence[_T]], object],
    called: Callable[[_T], object],
) -> None:
    """Check rows together. If that is impossible, check them one by one, and name those that cannot be compared."""
    mark = report.mark()
    if _attempt(partial(check, rows)) is None:
        return
    report.back_to(mark)
    for row in rows:
        mark = report.mark()
        if (why := _attempt(partial(check, [row]))) is not None:
            report.back_to(mark)
            report.unchecked(table, called(row), why)


def _attempt(part: Callable[[], object]) -> str | None:
    """Run a part; return why it failed, or None. PostgreSQL reads on after an error only from a savepoint."""
    why = None
    with transaction.atomic():
        try:
            part()
        except Exception as error:
            if _is_away(error):
                raise
            why = reason(error)
        if why is not None:
            transaction.set_rollback(True)
    return why


def reason(error: BaseException) -> str:
    """Return an error as one line, without the text that SQLite could not decode, which may be a secret."""
    return " ".join(f"{type(error).__name__}: {error}".partition(" with text ")[0].split())[:300]


def _is_away(error: Exception) -> bool:
    """Return whether nothing can be read at all, or the seals cannot be computed."""
    if isinstance(error, (SealError, OSError, MemoryError, TransactionManagementError)):
        return True
    own: Any = error if isinstance(error, sqlite3.Error) else error.__cause__
    if isinstance(own, sqlite3.Error):
        return getattr(own, "sqlite_errorcode", 0) & _PRIMARY in _BROKEN
    return connection.vendor != "sqlite" and isinstance(error, (OperationalError, InterfaceError, InternalError))

"""Where the growing tables of a copy end. What was stored later has a higher number.

A time would not tell that: the clock of a computer without a battery goes back, and another program sets it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

#: The column that grows, by table: a number, or the first day of a month.
COLUMNS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("collector_change", "collector_entry", "collector_manualline", "collector_prepaidentry"), "id"),
    **dict.fromkeys(("collector_sinkletter", "collector_statementmail"), "id"),
    "collector_closedmonth": "month",
}
#: The greatest value of the column, by table; a table without rows is not in it.
Ends = Mapping[str, int | str]


def of(connection: sqlite3.Connection) -> dict[str, int | str]:
    """Return the ends of a database of SQLite; tables that it does not have are left out. Raises sqlite3.Error."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    found = {}
    for table in tables & COLUMNS.keys():
        (end,) = connection.execute(f"SELECT MAX({COLUMNS[table]}) FROM {table}").fetchone()  # noqa: S608 (no input)
        if end is not None:
            found[table] = end
    return found

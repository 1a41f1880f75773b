"""Which tests of pages send a statement that no other test sends? Only these run again on PostgreSQL in ``make test``.

The first pass, on SQLite, records the statements of each collector test: their texts, without values and without how many
of them a list holds. From the record it chooses, page test by page test, the fewest that send everything. All other tests
of the collector run on both databases anyway. ``--distinct-pages`` leaves out what the record says is covered; a test that
it does not know runs.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any

import pytest

#: Where pytest's cache keeps the tests that need not run again.
COVERED = "fabgate/covered"
#: What a worker of pytest-xdist hands to the process that started it.
RECORD = "statements"
#: Tests of pages whose point is that several transactions run at once: they run on both databases.
AT_ONCE = ("test_at_once.py", "test_books_agree.py", "test_events.py", "test_live.py", "test_meanwhile.py")
_PAGES = "tests/collector/pages/"

#: By test: the statements that it sent.
_sent: dict[str, set[int]] = defaultdict(set)
_running = ""


def record() -> None:
    """Record from now on what this process sends to its database. Call it once, after Django is set up."""
    from django.db.backends.utils import CursorWrapper

    for name in ("_execute", "_executemany"):
        setattr(CursorWrapper, name, _recording(getattr(CursorWrapper, name)))


def begin(test: str) -> None:
    """Say which test runs."""
    global _running  # noqa: PLW0603 (a process runs one test at a time)
    _running = test


def sent() -> dict[str, list[int]]:
    """Return the statements of each test, as numbers that mean the same in all processes."""
    return {test: sorted(found) for test, found in _sent.items()}


def covered(records: Iterable[Mapping[str, Iterable[int]]]) -> list[str]:
    """Return the tests of pages that send nothing which a chosen or other test does not send."""
    tests = {test: frozenset(found) for one in records for test, found in one.items()}
    pages = {test: found for test, found in tests.items() if _may_be_left_out(test)}
    seen: set[int] = set().union(*(found for test, found in tests.items() if test not in pages))
    left: dict[str, AbstractSet[int]] = dict(pages)
    while left:
        test = max(sorted(left), key=lambda name: len(left[name] - seen))
        if not left[test] - seen:
            break
        seen |= left.pop(test)
    return sorted(left)


def _may_be_left_out(test: str) -> bool:
    return test.startswith(_PAGES) and not test.partition("::")[0].endswith(AT_ONCE)


def _recording(send: Any) -> Any:
    def recorded(cursor: Any, sql: Any, *values: Any) -> Any:
        _sent[_running].add(_shape(str(sql)))
        return send(cursor, sql, *values)

    return recorded


@cache
def _shape(sql: str) -> int:
    """Return a number for a statement without its values."""
    sql = re.sub(r"SAVEPOINT .*", "SAVEPOINT", re.sub(r"\b\d+\b", "%s", sql))
    for _ in range(2):  # a list of values, then a list of rows
        sql = re.sub(r"%s(?:, ?%s)+", "%s", sql).replace("(%s)", "%s")
    return zlib.crc32(re.sub(r"'[^']*'", "''", sql).encode())


# --- hooks, used by tests/conftest.py ---------------------------------------------------------------------------------


def hand_over(config: pytest.Config) -> None:
    """Give the record of this process to the one that started it, or keep it."""
    if hasattr(config, "workeroutput"):
        config.workeroutput[RECORD] = sent()
    elif _sent and not hasattr(config, "workerinput"):
        keep(config, [sent()])


def keep(config: pytest.Config, records: Iterable[Mapping[str, Iterable[int]]]) -> None:
    """Remember what is covered."""
    if config.cache is not None:
        config.cache.set(COVERED, covered(records))

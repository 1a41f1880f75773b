"""Which tests send a statement that no other test sends? Only these run again on PostgreSQL in ``make test``.

The first pass, on SQLite, records the statements of each collector test: their texts, without values and without how many
of them a list holds, and how long the test computed. From the record it chooses tests that send everything in little time:
again and again the one with the most new statements a second. Rooms whose tests are about the database itself, about
processes or about the order of what arrives run on both databases as a whole. ``--distinct-statements`` leaves out what the
record says is covered; a test that it does not know runs.
"""

from __future__ import annotations

import re
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

#: Where pytest's cache keeps the tests that need not run again.
COVERED = "fabgate/covered"
#: What a worker of pytest-xdist hands to the process that started it.
RECORD = "statements"
#: Tests whose point is that several transactions run at once: they run on both databases.
AT_ONCE = (
    *("test_books_agree.py", "test_events.py", "test_live.py", "test_meanwhile.py"),
    *("test_closing_meanwhile.py", "test_engine.py", "test_ledger.py"),
)
#: Rooms whose tests differ in what they decide and show, and hardly in what they send.
_DECIDING = ("cli", "faces", "members", "money", "processes/doctor", "processes/verify")
_ROOMS = tuple(f"tests/collector/{room}/" for room in _DECIDING)
#: How long each test on PostgreSQL takes beside its own work: its database is emptied.
_EMPTIED_S = 0.05

#: Of each test: seconds of processor time, and the numbers of its statements.
Record = Mapping[str, tuple[float, Iterable[int]]]

#: By test: the statements that it sent, and the seconds of processor time that it took.
_sent: dict[str, set[int]] = defaultdict(set)
_took_s: dict[str, float] = {}
_running = ""


def record() -> None:
    """Record from now on what this process sends to its database. Call it once, after Django is set up."""
    from django.db.backends.utils import CursorWrapper

    for name in ("_execute", "_executemany"):
        setattr(CursorWrapper, name, _recording(getattr(CursorWrapper, name)))


@contextmanager
def of(test: str) -> Iterator[None]:
    """Record what is sent meanwhile as this test's."""
    global _running  # noqa: PLW0603 (a process runs one test at a time)
    _running, began_s = test, time.process_time()
    try:
        yield
    finally:
        _took_s[test] = time.process_time() - began_s
        _running = ""


def several_at_once() -> None:
    """Count it as a statement that no other test sends, if this test runs several transactions at once."""
    _sent[_running].add(zlib.crc32(_running.encode()))


def sent() -> dict[str, tuple[float, list[int]]]:
    """Return the record of this process; the numbers mean the same in all processes."""
    return {test: (_took_s[test], sorted(found)) for test, found in _sent.items() if test in _took_s}


def covered(records: Iterable[Record]) -> list[str]:
    """Return the tests that send nothing which a chosen or other test does not send."""
    took_s = {test: seconds + _EMPTIED_S for one in records for test, (seconds, _) in one.items()}
    tests = {test: frozenset(found) for one in records for test, (_, found) in one.items()}
    may_go = {test: found for test, found in tests.items() if _may_be_left_out(test)}
    seen: set[int] = set().union(*(found for test, found in tests.items() if test not in may_go))
    left: dict[str, AbstractSet[int]] = dict(may_go)
    while left:
        test = max(sorted(left), key=lambda name: len(left[name] - seen) / took_s[name])
        if not left[test] - seen:
            break
        seen |= left.pop(test)
    return sorted(left)


def _may_be_left_out(test: str) -> bool:
    return test.startswith(_ROOMS) and not test.partition("::")[0].endswith(AT_ONCE)


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


def keep(config: pytest.Config, records: Iterable[Record]) -> None:
    """Remember what is covered."""
    cache = getattr(config, "cache", None)  # pytest runs without one, too
    if cache is not None:
        cache.set(COVERED, covered(records))

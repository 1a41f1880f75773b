"""Notifies other processes and open pages of changes, and documents the order of locks.

On PostgreSQL a transaction takes its locks in this order, or two of them could wait for each other. SQLite lets one
transaction write at a time.

| order | lock | taken by |
| --- | --- | --- |
| 1 | opening hours (advisory) | `lock_hours` |
| 2 | the rows that a change is about: members, badges, machines, orders; by id; then payers, the collector | ``select_for_update``, `member_lock.take`, `audit.change` |
| 2 | an account before its one-time links, a machine before its trainings | `audit.change` |
| 2 | sessions by id, each before its review | `sessions.rows.load_sessions` |
| 2 | how far charges are; before sessions, and with nothing else of this kind | `billing.terms.lock_charges` |
| 3 | the pulse lock (advisory), under which pulses, ledger lines and log rows get their ids | `lock`, `under_lock` |
| 4 | sums of days and months, by key | `sessions.sums` |
| 4 | gates by id, and their rosters | `access.roster.rebuild`, `intake.live_state.save_gates` |

Every transaction waits for the pulse lock, so it is taken as late as possible: long changes run inside `deferred`. Row
locks are ``FOR NO KEY UPDATE``: inserting a row that refers to a locked one does not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from fabgate.collector.ground.db import bulk

#: A change of more gates than this names none of them; pages then reload everything, which costs less.
MOST_NAMED: Final = 10
_PULSE_LOCK: Final = 0x66616267
_HOURS_LOCK: Final = 0x66616269
_PULSE = "INSERT INTO collector_pulse (topic, gate, at) VALUES (%s, %s, %s)"


@dataclass(slots=True)
class _HeldBack:
    """What a `deferred` block does at its end: notices, and work with the marks of its savepoints."""

    notices: list[tuple[Mapping[str, AbstractSet[str]], datetime]] = field(default_factory=list)
    work: list[tuple[Callable[[], None], Callable[[], None]]] = field(default_factory=list)


_deferred: ContextVar[_HeldBack | None] = ContextVar("_deferred", default=None)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold back the notices and the log rows of the block until its end, so that a long change blocks others briefly.

    Use it inside the transaction, around everything in it. If the block raises, nothing is sent.
    """
    if _deferred.get() is not None:
        yield
        return
    assert connection.in_atomic_block, "pulse.deferred() needs a transaction around it"
    held = _HeldBack()
    token = _deferred.set(held)
    try:
        yield
    finally:
        _deferred.reset(token)
    _do_what_is_kept(held)
    topics: dict[str, set[str]] = {}
    for changed, _at in held.notices:
        for topic, gates in changed.items():
            topics.setdefault(topic, set()).update(gates)
    if held.notices:
        notify(topics, held.notices[-1][1])


def under_lock(work: Callable[[], None]) -> None:
    """Do `work` under the pulse lock: now, or at the end of the `deferred` block. Call it inside a transaction.

    Work of a savepoint that is rolled back before the block ends is dropped, as the rows of that savepoint are.
    """
    if (held := _deferred.get()) is None:
        lock()
        work()
        return

    def mark() -> None:
        """Do nothing: Django drops this function when the savepoint is rolled back, and so shows whether it was."""

    transaction.on_commit(mark)
    held.work.append((work, mark))


def _do_what_is_kept(held: _HeldBack) -> None:
    """Do the work of a block whose savepoints were not rolled back."""
    kept = {id(entry[1]) for entry in connection.run_on_commit}
    left = [work for work, mark in held.work if id(mark) in kept]
    if left:
        lock()
        for work in left:
            work()


def notify(topics: Mapping[str, AbstractSet[str]], now: datetime) -> None:
    """Announce which topics changed, and at which gates. Call it last in a transaction."""
    if (held := _deferred.get()) is not None:
        held.notices.append((topics, now))
        return
    rows = [
        (topic, gate)
        for topic, gates in topics.items()
        for gate in (sorted(gates) if len(gates) <= MOST_NAMED else ("",))
    ]
    if rows:
        lock()
        insert_pulses(rows, now)


def insert_pulses(rows: Iterable[tuple[str, str]], now: datetime) -> None:
    """Store pulses, given as (topic, gate)."""
    at = bulk.to_database()(now)
    bulk.many(_PULSE, [(topic, gate, at) for topic, gate in rows])


def check_constraints() -> None:
    """Make PostgreSQL check deferred constraints now, not at the commit: 400,000 keys take five seconds."""
    if connection.vendor == "postgresql":
        connection.check_constraints()


def lock() -> None:
    """Take the pulse lock until the transaction ends.

    Pulses, ledger lines and log rows then become visible in the order of their ids: a reader that continues after the highest id
    that it has seen misses none.
    """
    _take(_PULSE_LOCK)


def lock_hours() -> None:
    """Take the lock of opening hours until the transaction ends."""
    _take(_HOURS_LOCK)


def _take(lock_id: int) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_id])

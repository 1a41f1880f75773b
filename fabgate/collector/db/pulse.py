"""How does one process learn what another one changed, and in which order are locks taken on PostgreSQL?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final

from django.db import connection

from fabgate.collector.db import bulk

#: A pulse for more gates than this names none of them: pages then ask for everything, which costs less.
MOST_NAMED: Final = 10
#: On PostgreSQL a transaction that adds pulses holds this lock until it ends. So ids become visible in their order, and a
#: reader that asks for the highest id misses no lower one.
_PULSE_LOCK: Final = 0x66616267
#: On PostgreSQL a transaction that changes opening hours holds this lock.
_HOURS_LOCK: Final = 0x66616269
_PULSE = "INSERT INTO collector_pulse (topic, gate, at) VALUES (%s, %s, %s)"
_kept_back: ContextVar[list[tuple[Mapping[str, AbstractSet[str]], datetime]] | None] = ContextVar(
    "_kept_back", default=None
)


@contextmanager
def told_last() -> Iterator[None]:
    """Keep back what the block says until its end, for one that takes long: others that tell something wait from then on.

    Inside the transaction, around all of it. Where the block fails nothing is said.
    """
    if _kept_back.get() is not None:
        yield
        return
    kept: list[tuple[Mapping[str, AbstractSet[str]], datetime]] = []
    token = _kept_back.set(kept)
    try:
        yield
    finally:
        _kept_back.reset(token)
    topics: dict[str, set[str]] = {}
    for said, _at in kept:
        for topic, gates in said.items():
            topics.setdefault(topic, set()).update(gates)
    if kept:
        pulse(topics, kept[-1][1])


def pulse(topics: Mapping[str, AbstractSet[str]], now: datetime) -> None:
    """Say which topics changed, and at which gates where they are few. Last in a transaction."""
    if (kept := _kept_back.get()) is not None:
        kept.append((topics, now))
        return
    rows = [
        (topic, gate)
        for topic, gates in topics.items()
        for gate in (sorted(gates) if len(gates) <= MOST_NAMED else ("",))
    ]
    if rows:
        in_order()
        insert_pulses(rows, now)


def insert_pulses(rows: Iterable[tuple[str, str]], now: datetime) -> None:
    """Say that (topic, gate) changed."""
    at = bulk.to_database()(now)
    bulk.many(_PULSE, [(topic, gate, at) for topic, gate in rows])


def check_now() -> None:
    """Let PostgreSQL check now what it would check at the commit, while others wait: 400,000 keys take five seconds."""
    if connection.vendor == "postgresql":
        connection.check_constraints()


def in_order() -> None:
    """Let no other transaction number its pulses, or lines of the ledger, before this one is done.

    Ids become visible in their order then: who asks for what lies beyond the highest id misses no lower one.
    """
    _wait_for(_PULSE_LOCK)


def hours_in_order() -> None:
    """Let no other transaction change opening hours before this one is done. Before anything else that is waited for."""
    _wait_for(_HOURS_LOCK)


def _wait_for(lock: int) -> None:
    """Hold a lock until the transaction ends. SQLite lets one write at a time anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])

"""What does a batch tell the floor: what each machine does, who was refused, which orders are answered?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Final

from django.db import connection

from fabgate import wire
from fabgate.collector import sql
from fabgate.collector.clocks import Off
from fabgate.collector.models import Gate, Journal
from fabgate.collector.received import Fact, Told, can_be

#: How much of what a gate says of its state is kept.
MAX_STATE: Final = 16
#: So many causes, problems and reasons of a gate are kept for pages, and so much of each: there are nine causes, and no
#: gate has as many problems. The entries themselves are kept as they came.
MOST_WORDS: Final = 32
MAX_WORD: Final = 500
#: Of more gates a pulse names none: pages ask for everything then, which costs them less than so many by name.
MOST_NAMED: Final = 10
#: Whoever adds pulses on PostgreSQL holds this until the transaction ends: their ids become visible in their order, so
#: that nobody who asks for the highest id misses a lower one.
_PULSE_LOCK: Final = 0x66616267
#: Whoever changes opening hours on PostgreSQL holds this.
_HOURS_LOCK: Final = 0x66616269
_kept_back: ContextVar[list[tuple[Mapping[str, AbstractSet[str]], datetime]] | None] = ContextVar(
    "_kept_back", default=None
)


def hear_state(gate: Gate, state: wire.State, now: datetime) -> None:
    """Take what a machine does now."""
    is_same = bool(state.session) and state.session == gate.session
    if state.session and state.running_ms > (gate.running_ms if is_same else 0):
        gate.ran_at = now
    elif not is_same:
        gate.ran_at = None
    gate.state, gate.causes = state.state[:MAX_STATE], brief(state.causes)
    gate.session, gate.session_member = state.session or "", state.member or ""
    gate.state_since = state.since if state.since is not None and can_be(state.since) else None
    gate.energised_ms, gate.running_ms = state.energised_ms, state.running_ms
    if state.session:
        gate.hint(state.session, state.energised_ms)


def brief(words: Sequence[str]) -> list[str]:
    """Return what is kept of a list that a gate says."""
    return [word[:MAX_WORD] for word in words[:MOST_WORDS]]


def refusals(
    facts: Iterable[Fact], gates: Mapping[str, Gate], journals: Mapping[str, Journal], off: Off, now: datetime
) -> AbstractSet[str]:
    """Store who was refused, and which of them by a wrong clock; return at which gates."""
    found = [(fact, fact.data) for fact in facts if isinstance(fact.data, wire.AccessRefused)]
    sql.insert_refusals(
        [
            (gates[f.gate], journals[f.journal].pk, f, said, brief(said.reasons), off.get((f.journal, f.seq)))
            for f, said in found
        ],
        now,
    )
    return {fact.gate for fact, _ in found}


def answers(facts: Iterable[Fact], told: Iterable[Told], gates: Mapping[str, Gate], now: datetime) -> AbstractSet[str]:
    """Write onto the orders what their gates made of them: the reply, or the entry that says the same; return where."""
    found = [
        (one.gate, one.message.id, one.message.outcome, one.message.detail or "")
        for one in told
        if isinstance(one.message, wire.Reply)
    ]
    found += [
        (fact.gate, fact.data.command, fact.data.outcome, fact.data.reason or "")
        for fact in facts
        if isinstance(fact.data, wire.CommandExecuted)
    ]
    sql.save_answers([(gates[gate].pk, order, said, why[:MAX_WORD]) for gate, order, said, why in found], now)
    return {gate for gate, *_ in found}


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
        sql.insert_pulses(rows, now)


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

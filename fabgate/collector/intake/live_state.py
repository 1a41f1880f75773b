"""What does a batch tell the floor: what each machine does, who was refused, which orders are answered?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from fabgate import wire
from fabgate.collector.db import bulk
from fabgate.collector.entries.decode import Fact, Told, can_be
from fabgate.collector.entries.gate_clocks import Off
from fabgate.collector.models import Gate, Journal

_REFUSAL = """
INSERT INTO collector_refusal (gate_id, machine_id, journal_id, seq, member, badge, reasons, at, is_timed, seen_at,
    clock_off_ms)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_ANSWER = """
UPDATE collector_order SET outcome = %s, detail = %s, answered_at = %s
WHERE id = %s AND gate_id = %s AND answered_at IS NULL"""
_GATE_COLUMNS = (
    *("online", "boot", "journal", "reported_roster", "seen_at", "hints", "state", "causes", "session"),
    *("session_member", "state_since", "energised_ms", "running_ms", "problems", "reader", "version", "head", "mark"),
    *("ran_at", "synced", "roster_confirmed_at", "head_at", "clock_off_ms", "quarantine_dropped"),
    "earliest_at",
)
_GATE = f"UPDATE collector_gate SET {', '.join(f'{c} = %s' for c in _GATE_COLUMNS)} WHERE id = %s"  # noqa: S608

#: How much of what a gate says of its state is kept.
MAX_STATE: Final = 16
#: So many causes, problems and reasons of a gate are kept for pages, and so much of each: there are nine causes, and no
#: gate has as many problems. The entries themselves are kept as they came.
MOST_WORDS: Final = 32
MAX_WORD: Final = 500


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
    insert_refusals(
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
    save_answers([(gates[gate].pk, order, said, why[:MAX_WORD]) for gate, order, said, why in found], now)
    return {gate for gate, *_ in found}


def save_gates(gates: Iterable[Gate]) -> None:
    """Write what gates said of themselves, and nothing else of them."""
    time = bulk.to_database()
    rows = [[*(bulk.plain(getattr(gate, c), time) for c in _GATE_COLUMNS), gate.pk] for gate in gates]
    bulk.many(_GATE, sorted(rows, key=lambda row: int(row[-1])))


def insert_refusals(
    rows: Sequence[tuple[Gate, int, Fact, wire.AccessRefused, list[str], int | None]], now: datetime
) -> None:
    """Store (gate, journal's row, entry, what it says, reasons to show, by how many milliseconds its clock was off)."""
    time = bulk.to_database()
    heard = time(now)
    bulk.many(
        _REFUSAL,
        [
            (
                *(gate.pk, gate.machine_id, row, f.seq, said.member or "", said.badge, json.dumps(reasons)),
                *(time(f.time) or heard, f.time is not None, heard, off),
            )
            for gate, row, f, said, reasons, off in rows
        ],
    )


def save_answers(rows: Iterable[tuple[int, str, str, str]], now: datetime) -> None:
    """Write (gate's row, command's id, outcome, detail) onto the orders that await an answer: the first one stays."""
    at = bulk.to_database()(now)
    bulk.many(_ANSWER, [(outcome, detail, at, command, gate) for gate, command, outcome, detail in rows])

"""Updates the live state: what each machine does, refused badges, and answers to commands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from fabgate import wire
from fabgate.collector.ground.db import bulk
from fabgate.collector.ground.models import Gate, Journal
from fabgate.collector.recording.entries.decode import MAX_WORD_LENGTH, GateReport, ValidEntry, brief, is_plausible
from fabgate.collector.recording.entries.gate_clocks import ClockOffsets

_REFUSAL = """
INSERT INTO collector_refusal (gate_id, machine_id, journal_id, seq, member, badge, reasons, at, is_timed, seen_at,
    clock_off_ms)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_ANSWER = """
UPDATE collector_order SET outcome = %s, detail = %s, answered_at = %s
WHERE id = %s AND gate_id = %s AND answered_at IS NULL"""
_GATE_COLUMNS = (
    *("online", "boot", "journal", "reported_roster", "seen_at", "hints", "state", "causes", "session"),
    *(
        "session_member",
        "state_since",
        "energised_ms",
        "running_ms",
        "problems",
        "reader",
        "senses_work",
        "version",
        "head",
        "mark",
    ),
    *("ran_at", "synced", "roster_confirmed_at", "head_at", "clock_off_ms", "quarantine_dropped"),
    "earliest_at",
)
_GATE = f"UPDATE collector_gate SET {', '.join(f'{c} = %s' for c in _GATE_COLUMNS)} WHERE id = %s"  # noqa: S608

#: How many characters of a gate's state are kept.
MAX_STATE: Final = 16


def apply_state(gate: Gate, state: wire.State, now: datetime) -> None:
    """Set what the machine does now."""
    is_same = bool(state.session) and state.session == gate.session
    if state.session and state.running_ms > (gate.running_ms if is_same else 0):
        gate.ran_at = now
    elif not is_same:
        gate.ran_at = None
    gate.state, gate.causes = state.state[:MAX_STATE], brief(state.causes)
    gate.session, gate.session_member = state.session or "", state.member or ""
    gate.state_since = state.since if state.since is not None and is_plausible(state.since) else None
    gate.energised_ms, gate.running_ms = state.energised_ms, state.running_ms
    if state.session:
        gate.hint(state.session, state.energised_ms)


def save_refusals(
    entries: Iterable[ValidEntry],
    gates: Mapping[str, Gate],
    journals: Mapping[str, Journal],
    clock_offsets: ClockOffsets,
    now: datetime,
) -> AbstractSet[str]:
    """Store refused badges, and by how much the gate's clock was wrong; return the names of the gates."""
    refused = [(entry, entry.data) for entry in entries if isinstance(entry.data, wire.AccessRefused)]
    insert_refusals(
        [
            (gates[f.gate], journals[f.journal].pk, f, data, brief(data.reasons), clock_offsets.get((f.journal, f.seq)))
            for f, data in refused
        ],
        now,
    )
    return {entry.gate for entry, _ in refused}


def save_answers(
    entries: Iterable[ValidEntry], reports: Iterable[GateReport], gates: Mapping[str, Gate], now: datetime
) -> AbstractSet[str]:
    """Store the outcomes of commands, from replies and from entries; return the names of the gates."""
    outcomes = [
        (report.gate, report.message.id, report.message.outcome, report.message.detail or "")
        for report in reports
        if isinstance(report.message, wire.Reply)
    ]
    outcomes += [
        (entry.gate, entry.data.command, entry.data.outcome, entry.data.reason or "")
        for entry in entries
        if isinstance(entry.data, wire.CommandExecuted)
    ]
    update_orders(
        [(gates[gate].pk, order, outcome, detail[:MAX_WORD_LENGTH]) for gate, order, outcome, detail in outcomes], now
    )
    return {gate for gate, *_ in outcomes}


def save_gates(gates: Iterable[Gate]) -> None:
    """Save the fields that gates report about themselves, and no others."""
    time = bulk.to_database()
    rows = [[*(bulk.plain(getattr(gate, c), time) for c in _GATE_COLUMNS), gate.pk] for gate in gates]
    bulk.many(_GATE, sorted(rows, key=lambda row: int(row[-1])))


def insert_refusals(
    rows: Sequence[tuple[Gate, int, ValidEntry, wire.AccessRefused, list[str], int | None]], now: datetime
) -> None:
    """Store (gate, journal's id, entry, its data, reasons to show, error of the gate's clock in milliseconds)."""
    time = bulk.to_database()
    arrived = time(now)
    bulk.many(
        _REFUSAL,
        [
            (
                *(gate.pk, gate.machine_id, row, f.seq, data.member or "", data.badge, json.dumps(reasons)),
                *(time(f.time) or arrived, f.time is not None, arrived, off_ms),
            )
            for gate, row, f, data, reasons, off_ms in rows
        ],
    )


def update_orders(rows: Iterable[tuple[int, str, str, str]], now: datetime) -> None:
    """Write (gate's id, command's id, outcome, detail) to orders; the first answer of an order stays."""
    at = bulk.to_database()(now)
    bulk.many(_ANSWER, [(outcome, detail, at, command, gate) for gate, command, outcome, detail in rows])

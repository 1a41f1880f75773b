"""Stores one batch of decoded messages, in steps that pass on their results:

1. `loading`: the gates and journals that the messages name
2. `placement`: each entry's place in its journal, or in quarantine
3. `succession`, `gate_reports`, `live_state`: ended journals, and what gates report
4. `acks`: how far each journal is stored
5. `boots`, `first_dates`: the dates of boots, and the earliest possible date of each gate's entries
6. `sessions.derive`: the sessions, then their sums and ledger lines
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Gate, Journal, Pulse
from fabgate.collector.recording.entries import boots, first_dates, gate_clocks, rows, succession
from fabgate.collector.recording.entries.decode import SESSION_DATA, GateReport, InvalidMessage, ValidEntry
from fabgate.collector.recording.intake import acks, live_state, loading
from fabgate.collector.recording.intake.gate_reports import ReportedStatus
from fabgate.collector.recording.intake.placement import Placement
from fabgate.collector.recording.sessions import derive, ledger, sums


@dataclass(frozen=True, slots=True)
class Stored:
    """What to acknowledge after a batch."""

    #: The journals of the batch, by name.
    journals: Mapping[str, Journal]
    #: Names of the journals whose ack is due.
    due: set[str]
    #: Names of the journals in which entries arrived only beyond a gap.
    beyond_gap: set[str]
    #: For journals with a fork: a stored number and its hash, which differs from the gate's entry.
    witnesses: Mapping[str, tuple[int, bytes]]


def store(messages: Sequence[ValidEntry | InvalidMessage | GateReport], now: datetime, *, collector: str) -> Stored:
    """Store decoded messages. Must run inside a transaction; `collector` is the id of this database."""
    entries = [message for message in messages if isinstance(message, (ValidEntry, InvalidMessage))]
    reports = [message for message in messages if isinstance(message, GateReport)]
    loaded = loading.load(entries, reports)
    gates, journals = loaded.gates, loaded.journals
    shown_before = {name: gate.shown for name, gate in gates.items()}
    unreported_before = {name: _unreported(gate) for name, gate in gates.items()}

    placement = Placement(entries, loaded)
    placement.save(now)
    fresh = placement.fresh

    changed_journals = succession.link(fresh, journals)
    status = ReportedStatus(loaded, now, collector=collector)
    status.apply(reports, changed_journals)
    succession.record_lost(changed_journals, now)
    clock_offsets = gate_clocks.check(fresh, gates, now)
    refused = live_state.save_refusals(fresh, gates, journals, clock_offsets, now)
    answered = live_state.save_answers(fresh, reports, gates, now)

    moved = acks.advance(journals, placement, asked=status.asked, lowered=status.lowered)

    redated = boots.update(fresh, gates, journals)
    first_dates.update(redated, gates.values())
    others = derive.OtherChanges(changed_journals, redated, moved.passed, placement.copies)
    updated = derive.update_sessions(fresh, gates, journals, others, clock_offsets, now)
    for name, hinted in updated.hinted.items():
        for session in hinted:
            del gates[name].hints[session]
    sums.add(updated.sessions)
    pulse.lock()
    if loaded.new:  # only now, because the log is written under the pulse lock
        rows_of_new = audit.stored(Gate, [gate.pk for gate in loaded.new])
        audit.record_many(
            audit.WORKER, "gate.seen", Gate, [(gate.name, {}, rows_of_new[gate.pk]) for gate in loaded.new]
        )
    reported = {report.gate for report in reports}
    live_state.save_gates(
        [gate for name, gate in gates.items() if name in reported or _unreported(gate) != unreported_before[name]]
    )
    rows.save_acks(moved.moved)
    ledger.add(updated.sessions, now)
    used = {entry.gate for entry in fresh if isinstance(entry.data, SESSION_DATA)}
    pulse.notify(
        {
            Pulse.FLOOR: {name for name, gate in gates.items() if gate.shown != shown_before[name]},
            Pulse.REFUSAL: refused,
            Pulse.ORDER: answered,
            Pulse.SESSION: used or ({""} if updated.sessions else set()),
        },
        now,
    )
    due = placement.touched | status.due | {journal.name for journal in moved.moved}
    return Stored(journals, due, moved.beyond_gap, placement.witnesses)


def _unreported(gate: Gate) -> tuple[object, ...]:
    """Return the fields of a gate that a batch may change even if the gate sent no report."""
    return dict(gate.hints), gate.clock_off_ms, gate.earliest_at, gate.quarantine_dropped

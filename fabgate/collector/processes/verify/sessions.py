"""Merges the entries of each session again, and compares the result with the stored session, column by column.

What was decided with the data of the moment when an entry arrived cannot be merged again: it is taken from the stored
session. Its figures must then agree with corrections, reviews and the ledger (processes/verify/decisions.py,
processes/verify/ledger.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from fabgate import wire
from fabgate.collector.ground.models import Correction, Journal
from fabgate.collector.ground.models.entries import AHEAD
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.ground.models.sessions.words import EARLIER_HOLDER, OWN
from fabgate.collector.processes.verify import decisions, guard, ledger
from fabgate.collector.processes.verify.findings import Advance, Report
from fabgate.collector.processes.verify.gates import entries
from fabgate.collector.processes.verify.snapshot import Workspace, grouped, moment, pages
from fabgate.collector.recording.entries import decode, queries
from fabgate.collector.recording.entries.decode import SESSION_DATA, SessionData
from fabgate.collector.recording.sessions import derive
from fabgate.collector.recording.sessions.merge import COLUMNS, Arrival, DerivedSession, absorb

#: Taken from the stored session, because they were decided with the data of the moment of arrival: the gate's machine,
#: the member's category, the payer, whether the badge was still the member's, the live counter, and reports of the gate's
#: clock. What a review decided is checked by itself.
GIVEN: Final = ("machine_id", "category", "payer", "earlier_holder", "hint_ms", "clock_off_ms", "review")
_SESSIONS: Final = f"SELECT {', '.join(COLUMNS)} FROM collector_usagesession WHERE"  # noqa: S608
_FACTS: Final = "SELECT id, journal_id, seq, body, arrived_at FROM collector_entry WHERE id IN ({})"
_DATES: Final = frozenset(name for name in COLUMNS if name.endswith("_at") or name in {"not_before", "not_after"})
_ID: Final = COLUMNS.index("id")
_COMPARED: Final = tuple(name for name in COLUMNS if name not in {*GIVEN, "purpose"})
_CORRECTED: Final = {
    Correction.MEMBER: "used_by",
    Correction.PAYER: "payer",
    Correction.PURPOSE: "purpose",
    Correction.TIME: "counted_ms",
}


class Arrived(NamedTuple):
    """An entry of a session as it arrived."""

    journal: Journal
    #: Where it was first written: journal's name and number.
    origin: tuple[str, int]
    time: datetime | None
    data: SessionData
    arrived_at: datetime


def check(report: Report, workspace: Workspace, advance: Advance) -> None:
    """Check every session, with its corrections, review and ledger lines."""
    journals = {journal.pk: journal for journal in entries.all_journals()}
    decisions.load(workspace)
    ledger.load(report, workspace, advance)
    for page in pages(_SESSIONS, "id", after=""):
        guard.each(report, "usagesession", page, partial(_check_some, report, workspace, journals), itemgetter(_ID))
        workspace.insert("seen", [(values[_ID],) for values in page])
        advance(len(page))
    _check_absent(report, workspace)
    decisions.check_absent(report)


def _check_some(
    report: Report, workspace: Workspace, journals: Mapping[int, Journal], page: Sequence[Sequence[Any]]
) -> None:
    stored = {row.id: row for row in map(_session, page)}
    entries_of = workspace.of("session_entry", list(stored))
    arrived = _arrived([pk for rows in entries_of.values() for (pk,) in rows], journals)
    decided = decisions.Decisions.of(stored, workspace)
    merged = {}
    for session, row in stored.items():
        own = _own([arrived[pk] for (pk,) in entries_of[session] if pk in arrived], row, report)
        if own:
            merged[session] = row, own
        else:
            report.added("usagesession", session, "it has no entries")
    again = _merge_again(merged, journals, decided)
    for session, row in stored.items():
        if session in again:
            _compare(report, row, again[session], decided)
        decided.check(report, row)
    ledger.check(report, workspace, stored, decided)
    report.compared["usagesession"] += len(stored)


def _check_absent(report: Report, workspace: Workspace) -> None:
    """Report sessions that have entries, and ledger lines that have a session, but no row of the session."""
    for (session,) in workspace.query(
        "SELECT DISTINCT session FROM session_entry WHERE session NOT IN (SELECT session FROM seen) ORDER BY session"
    ):
        report.missing("usagesession", session, "it has entries")
    for session, pk in workspace.query(
        "SELECT session, id FROM line WHERE session NOT IN (SELECT session FROM seen) ORDER BY id"
    ):
        report.changed("ledgerline", f"{pk} ({session})", "session_id", session, "the id of a session")


def _session(values: Sequence[Any]) -> DerivedSession:
    plain: list[Any] = [moment(value) if name in _DATES else value for name, value in zip(COLUMNS, values, strict=True)]
    return DerivedSession(*plain)


def _arrived(pks: Sequence[int], journals: Mapping[int, Journal]) -> dict[int, Arrived]:
    """Return entries by their ids, without those that cannot be read: processes/verify/gates/entries.py reports them."""
    found = {}
    for pk, rows in grouped(_FACTS, pks).items():
        journal_id, seq, body, at = rows[0]
        journal, arrived_at = journals.get(journal_id), moment(at)
        try:
            entry = wire.decode_entry(bytes(body))
            data = wire.decode_data(entry)
            origin = (journal.name if journal else "", seq) if entry.copyof is UNSET else decode.origin(entry.copyof)
            time = None if entry.time is UNSET else decode.utc(entry.time)
        except (ValueError, decode.UnfitError):
            continue
        if journal is not None and arrived_at is not None and isinstance(data, SESSION_DATA):
            found[pk] = Arrived(journal, origin, time, data, arrived_at)
    return found


def _own(arrived: list[Arrived], row: DerivedSession, report: Report) -> list[Arrived]:
    """Return the entries of the session's own gate: that of the first one to arrive. Others cannot change it."""
    if not arrived:
        return []
    first = min(one.arrived_at for one in arrived)
    # Of one batch, any gate may have been the first.
    owners = {one.journal.gate_id for one in arrived if one.arrived_at == first}
    if row.gate_id not in owners:
        report.changed("usagesession", row.id, "gate_id", row.gate_id, min(owners))
    owner = row.gate_id if row.gate_id in owners else min(owners)
    return [one for one in arrived if one.journal.gate_id == owner]


def _merge_again(
    merged: Mapping[str, tuple[DerivedSession, list[Arrived]]],
    journals: Mapping[int, Journal],
    decided: decisions.Decisions,
) -> dict[str, DerivedSession]:
    """Return the sessions as their entries and corrections give them."""
    by_name = {journal.name: journal for journal in journals.values()}
    rosters = {one.data.roster for _, own in merged.values() for one in own if one.data.roster}
    longest_s = queries.longest_s(rosters)
    again: dict[str, DerivedSession] = {}
    for session, (row, own) in merged.items():
        derived: DerivedSession | None = None
        for one in own:
            origin = by_name.get(one.origin[0])
            if origin is None:
                continue
            gate = one.journal.gate_id
            arrival = Arrival(
                gate,
                row.machine_id,
                origin.pk,
                one.origin[1],
                one.time,
                one.arrived_at,
                _ahead_ms(one),
                derive.allowed_ms(longest_s.get((gate, one.data.roster))),
            )
            derived = absorb(derived, one.data, arrival)
        if derived is not None:
            _take_what_is_given(derived, row, decided)
            again[session] = derived
    derive.settle_again(again)
    for session, derived in again.items():
        derived.review = merged[session][0].review
        derived.earlier_holder = merged[session][0].earlier_holder
        derived.uncertain = counted.uncertainty_ms(derived) > 0 or derived.review is not None
    return again


def _take_what_is_given(derived: DerivedSession, row: DerivedSession, decided: decisions.Decisions) -> None:
    derived.category, derived.earlier_holder, derived.hint_ms = row.category, row.earlier_holder, row.hint_ms
    derived.payer, derived.clock_off_ms = row.payer, _clock_off_ms(derived.clock_off_ms, row.clock_off_ms)
    newest = decided.newest(row.id)
    derived.corrected = " ".join(sorted(newest))
    if Correction.MEMBER in newest:
        # A correction looks at the badge again, but leaves the doubt as it was until more entries arrive.
        derived.earlier_holder = row.doubt == EARLIER_HOLDER
    for field, value in newest.items():
        setattr(derived, _CORRECTED[field], int(value) if field == Correction.TIME and value.isdecimal() else value)


def _ahead_ms(one: Arrived) -> int | None:
    """Return by how much an entry is dated after its arrival, as recording/entries/gate_clocks.py does."""
    if one.time is None or one.time <= one.arrived_at + AHEAD:
        return None
    return (one.time - one.arrived_at) // timedelta(milliseconds=1)


def _clock_off_ms(least: int | None, stored: int | None) -> int | None:
    """Return how wrong the clock was: as stored, unless its entries show more. Earlier reports may have shown more."""
    if least is None:
        return stored
    return max(least, stored or 0, key=lambda ms: (abs(ms), ms))


def _compare(report: Report, row: DerivedSession, again: DerivedSession, decided: decisions.Decisions) -> None:
    if row == again:
        return
    for name in _COMPARED:
        if getattr(row, name) != getattr(again, name):
            report.changed("usagesession", row.id, name, getattr(row, name), getattr(again, name))
    if row.clock_off_ms != again.clock_off_ms:
        report.changed("usagesession", row.id, "clock_off_ms", row.clock_off_ms, again.clock_off_ms)
    # A badge of a group makes a member's own work the group's.
    purposes = (
        {again.purpose, "group"} if again.purpose == OWN and "purpose" not in again.corrected else {again.purpose}
    )
    if row.purpose not in purposes:
        report.changed("usagesession", row.id, "purpose", row.purpose, again.purpose)
    if "payer" in decided.newest(row.id) and row.payer != again.payer:
        report.changed("usagesession", row.id, "payer", row.payer, again.payer)

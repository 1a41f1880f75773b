"""Derives sessions from new entries, new dates of boots, and the ends of journals.

The order in which entries arrive does not matter. recording/sessions/merge.py has the rules for a single session.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from fabgate import wire
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Entry, Gate, Journal, UsageSession
from fabgate.collector.ground.models.sessions.words import CONTESTED
from fabgate.collector.recording.entries import boots, first_dates, queries
from fabgate.collector.recording.entries.boots import Redated
from fabgate.collector.recording.entries.decode import SESSION_DATA, ValidEntry
from fabgate.collector.recording.entries.gate_clocks import ClockOffsets
from fabgate.collector.recording.entries.succession import Succession
from fabgate.collector.recording.entries.wall_time import BootDates
from fabgate.collector.recording.sessions import attribution, overlaps
from fabgate.collector.recording.sessions import rows as session_rows
from fabgate.collector.recording.sessions.merge import (
    BEFORE_FIRST,
    NO_START,
    OVERLAP,
    UNBOUNDED_MS,
    Arrival,
    DerivedSession,
    absorb,
    conclude,
    is_before,
    judge,
)

log = logging.getLogger(__name__)

#: A range of entries that the ack of a journal has just passed, or fell back behind: above a number, up to another one.
Passed = tuple[Journal, int, int]
_NEVER = BootDates()
#: How many seconds after a limit a gate may switch off.
LATE_S: Final = 60


@dataclass(frozen=True, slots=True)
class OtherChanges:
    """What a batch brings besides the entries of sessions, and that changes sessions too."""

    succession: Succession
    redated: Redated
    #: Sessions that ended in one of these ranges are judged again.
    passed: Collection[Passed]
    #: New entries whose originals are stored: they show which sessions continue in another journal.
    copies: Iterable[ValidEntry]


@dataclass(frozen=True, slots=True)
class Updated:
    """What ``update_sessions`` changed."""

    #: Each session that changed, before and after.
    sessions: list[tuple[DerivedSession | None, DerivedSession]]
    #: By name of the gate: sessions that now have the live counter that the gate kept for them (``Gate.hints``).
    hinted: Mapping[str, AbstractSet[str]]


def update_sessions(
    fresh: Iterable[ValidEntry],
    gates: Mapping[str, Gate],
    known: Mapping[str, Journal],
    others: OtherChanges,
    clock_offsets: ClockOffsets,
    now: datetime,
) -> Updated:
    """Update and save the sessions that change, with their reviews. `gates` and `known` stay as they are.

    `gates` have their new earliest dates, and `known` has journals with their new acks.
    """
    entries = [(entry, entry.data) for entry in fresh if isinstance(entry.data, SESSION_DATA)]
    reported = {gate.id: gate.journal for gate in gates.values()}
    hints = {session for gate in gates.values() for session in gate.hints}
    rows = session_rows.load_sessions({data.session for _, data in entries} | _also_changed(others) | hints)
    before = {session: session_rows.copy_of(row) for session, row in rows.items()}
    longest_s = queries.longest_s({data.roster for _, data in entries if data.roster})
    for entry, data in entries:
        gate, origin = gates[entry.gate], known[entry.origin[0]]
        clock_off_ms = clock_offsets.get((entry.journal, entry.seq)) if clock_offsets else None
        arrival = Arrival(
            gate.id,
            gate.machine_id,
            origin.id,
            entry.origin[1],
            entry.time,
            now,
            clock_off_ms,
            allowed_ms(longest_s.get((gate.id, data.roster))),
        )
        rows[data.session] = row = absorb(rows.get(data.session), data, arrival)
        if row.gate_id != gate.id:
            log.error("%s entry %d is about the session %s of another gate", entry.gate, entry.seq, data.session)
    hinted = {gate.name: gate.hints.keys() & rows.keys() for gate in gates.values()}
    for gate in gates.values():
        for session in hinted[gate.name]:
            if rows[session].gate_id == gate.id:
                rows[session].hint_ms = max(rows[session].hint_ms, gate.hints[session])
    attribution.update([row for session, row in rows.items() if _is_new(row, before.get(session))], now)
    _settle(rows, before, known.values(), reported, {gate.pk: gate.earliest_at for gate in gates.values()})
    changed = [(before.get(session), row) for session, row in rows.items() if row != before.get(session)]
    session_rows.save_sessions([row for _, row in changed])
    doubted = [row for old, row in changed if (old.doubt if old else None) != row.doubt and row.review != CONTESTED]
    session_rows.save_reviews(
        [(row.id, row.doubt) for row in doubted if row.doubt is not None],
        [row.id for row in doubted if row.doubt is None],
        now,
    )
    return Updated(changed, hinted)


def allowed_ms(longest_s: int | None) -> int:
    """Return the longest possible session, with a margin because gates check limits only now and then."""
    return UNBOUNDED_MS if longest_s is None else (longest_s + LATE_S) * 1000


def _is_new(row: DerivedSession, before: DerivedSession | None) -> bool:
    """Return whether the person who uses the machine has just become known."""
    return before is None or _user(before) != _user(row)


def _user(row: DerivedSession) -> tuple[object, ...]:
    return row.member, row.badge, row.has_start, row.start_boottime_ms


def _settle(
    rows: dict[str, DerivedSession],
    before: dict[str, DerivedSession],
    known: Iterable[Journal],
    reported: Mapping[int, str],
    earliest: dict[int, datetime | None],
) -> None:
    """Conclude `rows` and the sessions that overlap them. These are added to `rows`, and, as they were, to `before`."""
    by_pk = {journal.pk: journal for journal in known}
    ended = _conclude(list(rows.values()), by_pk, reported)
    overlapping, others = overlaps.find(rows.values(), before)
    if others:
        more = session_rows.load_sessions(others)
        before |= {session: session_rows.copy_of(row) for session, row in more.items()}
        ended |= _conclude(list(more.values()), by_pk, reported)
        rows |= more
        overlapping, _ = overlaps.find(rows.values(), before)
    _judge(rows.values(), by_pk, ended, overlapping, earliest)


def settle_again(rows: Mapping[str, DerivedSession]) -> None:
    """Conclude and judge sessions that were merged again from all their entries. Nothing is saved (verify/).

    Sessions outside of `rows` count as they are stored.
    """
    by_pk: dict[int, Journal] = {}
    ended = _conclude(list(rows.values()), by_pk, {})
    overlapping, _others = overlaps.find(rows.values(), {})
    _judge(rows.values(), by_pk, ended, overlapping, {})


def _judge(
    rows: Collection[DerivedSession],
    by_pk: Mapping[int, Journal],
    ended: set[int],
    overlapping: set[str],
    earliest: dict[int, datetime | None],
) -> None:
    """Judge `rows`, whose dates are concluded. `earliest`: the earliest possible dates of gates, as far as loaded."""
    others_gates = {row.gate_id for row in rows} - earliest.keys()  # an entry may name another gate's session
    earliest |= dict(Gate.objects.filter(pk__in=others_gates).values_list("pk", "earliest_at")) if others_gates else {}
    for row in rows:
        journal = by_pk[row.opened_in_id]
        impossible = None
        if is_before(row, earliest[row.gate_id]):
            impossible = BEFORE_FIRST
        elif row.id in overlapping:
            impossible = OVERLAP
        elif _is_start_lost(row, journal, is_ended=journal.pk in ended):
            impossible = NO_START
        image = journal.fork_mark is not None and row.opened_seq > journal.fork_mark
        judge(row, image=image, impossible=impossible)


def _is_start_lost(row: DerivedSession, journal: Journal, *, is_ended: bool) -> bool:
    """Return whether an ended session's start can no longer arrive, because no entry up to its end is missing."""
    return row.has_end and not row.has_start and (journal.ack_seq >= row.opened_seq or is_ended)


def _conclude(rows: Sequence[DerivedSession], by_pk: dict[int, Journal], reported: Mapping[int, str]) -> set[int]:
    """Set the dates and ends of `rows`; return the ids of those journals that have ended."""
    by_pk.update(Journal.objects.in_bulk({row.opened_in_id for row in rows} - set(by_pk)))
    undated = {(row.gate_id, row.start_boot) for row in rows if row.has_start and not row.start_timed}
    undated |= {(row.gate_id, row.last_boot) for row in rows if not row.last_timed}
    dates = boots.dates_of(undated)
    ended = _ended_journals([by_pk[pk] for pk in {row.opened_in_id for row in rows}], reported)
    abandoned = _abandoned([row for row in rows if not row.has_end and row.opened_in_id in ended], by_pk, reported)
    for row in rows:
        conclude(
            row,
            start=dates.get((row.gate_id, row.start_boot), _NEVER),
            last=dates.get((row.gate_id, row.last_boot), _NEVER),
            abandoned=row.id in abandoned,
        )
    return ended


def _ended_journals(journals: Collection[Journal], reported: Mapping[int, str]) -> set[int]:
    """Return the ids of the journals that have ended because their gate now writes another one.

    `reported` is the journal that each gate says it writes. That may be one that had ended: an older card is used
    again, and the journal written since then has ended instead (docs/decisions/0063). Or it may be one of which this
    collector will never know what it follows.
    """
    missing = {journal.gate_id for journal in journals} - reported.keys()  # an entry may name another gate's session
    if missing:
        reported = {**reported, **dict(Gate.objects.filter(pk__in=missing).values_list("pk", "journal"))}
    others = [journal for journal in journals if journal.name != reported.get(journal.gate_id)]
    alive = {journal.gate_id for journal in others if journal.superseded_by_id is None}
    names = [name for gate in alive if (name := reported.get(gate))]
    rows = Journal.objects.filter(name__in=names, gate__in=alive) if names else ()
    written = {row.gate_id: row for row in rows}
    return {
        journal.pk
        for journal in others
        if journal.superseded_by_id is not None
        or (journal.gate_id in written and written[journal.gate_id].has_ended(journal))
    }


def _abandoned(rows: Sequence[DerivedSession], by_pk: Mapping[int, Journal], reported: Mapping[int, str]) -> set[str]:
    """Return the ids of open sessions in `rows` whose journal has ended and that no other journal continues."""
    uncontinued: dict[tuple[str, str], str] = {}
    forked: set[int] = set()
    for row in rows:
        journal = by_pk[row.opened_in_id]
        if journal.fork_head is not None:
            forked.add(row.gate_id)
            if journal.cloned and row.opened_seq > journal.fork_head:
                continue  # the clone continues this session
        uncontinued[row.id, f"{journal.name}/{row.opened_seq}/"] = row.id
    if forked:
        for key in _continued(forked, {origin for _, origin in uncontinued}, reported):
            uncontinued.pop(key, None)
    return set(uncontinued.values())


def _continued(gates: Collection[int], origins: set[str], reported: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Yield (session, origin) for those of `origins` that have a copy in a journal that has not ended.

    An origin is a journal and a number, the start of a ``copyof``. A card and its image may both have written it.
    """
    after_others = Journal.objects.filter(gate__in=gates).exclude(predecessor="")
    continuing = {journal.pk for journal in after_others} - _ended_journals(after_others, reported)
    copies = Entry.objects.filter(journal__in=continuing, type__startswith="session.", copyof__isnull=False)
    for pk, copyof in copies.values_list("pk", "copyof").iterator():
        journal, seq, _hash = (copyof or "//").split("/", 2)
        origin = f"{journal}/{seq}/"
        if origin in origins:
            data = wire.decode_data(Entry.objects.get(pk=pk).decode())
            if isinstance(data, SESSION_DATA):
                yield data.session, origin


def _copied(copies: Iterable[ValidEntry]) -> set[str]:
    """Return the ids of open sessions of which another journal has entries."""
    named = sorted({entry.data.session for entry in copies if isinstance(entry.data, SESSION_DATA)})
    found: set[str] = set()
    for chunk in statements.chunks(named):
        found.update(UsageSession.objects.filter(pk__in=chunk, has_end=False).values_list("pk", flat=True))
    return found


def _also_changed(others: OtherChanges) -> set[str]:
    """Return the ids of sessions that change although none of their own entries arrived.

    Every input of `_judge` and `_conclude` is here: they must find what verify finds, which settles all sessions.
    """
    succession, redated = others.succession, others.redated
    ids = _copied(others.copies) | first_dates.sessions_before(redated.early)
    # Whether a start can still arrive depends on the ack and on the journals that have ended (`_is_start_lost`). No boot
    # has an empty id, so the index of undated starts finds the few sessions without a start.
    no_start = UsageSession.objects.filter(start_timed=False, start_boot="", has_start=False, has_end=True)
    if succession.gates:
        ids.update(UsageSession.objects.filter(has_end=False, gate__in=succession.gates).values_list("id", flat=True))
        ids.update(no_start.filter(gate__in=succession.gates).values_list("id", flat=True))
    for journal, after, upto in others.passed:
        ended = no_start.filter(opened_in=journal, opened_seq__gt=after, opened_seq__lte=upto)
        ids.update(ended.values_list("id", flat=True))
    for old in succession.forked:
        image = UsageSession.objects.filter(gate=old.gate_id, opened_in=old, opened_seq__gt=old.fork_mark)
        ids.update(image.values_list("id", flat=True))
    for chunk in statements.chunks(sorted({boot for _, boot in redated.boots})):
        undated = Q(start_boot__in=chunk, start_timed=False) | Q(last_boot__in=chunk, last_timed=False)
        rows = UsageSession.objects.filter(undated).values_list("id", "gate", "start_boot", "last_boot")
        ids.update(pk for pk, gate, first, last in rows if not redated.boots.isdisjoint({(gate, first), (gate, last)}))
    if moved := redated.gates | succession.gates:
        placed = UsageSession.objects.filter(gate__in=moved, not_after__isnull=False)
        ids.update(placed.values_list("id", flat=True))
    return ids

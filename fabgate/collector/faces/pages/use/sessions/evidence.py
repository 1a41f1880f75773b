"""The evidence for one session: its entries, the basis of access, and its corrections.

Entries have no column for their session. A gate writes one session at a time, so the others are close before the last
one, whose number is in the session's row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from fabgate import seal, wire
from fabgate.collector.faces.pages.words import durations, session_labels
from fabgate.collector.faces.pages.words.names import Names
from fabgate.collector.ground.models import Correction, Entry, Grant, Journal, Review, UsageSession
from fabgate.collector.ground.models.entries import AHEAD, MAX_SEQ
from fabgate.collector.ground.tables.table import clock
from fabgate.collector.recording.sessions.merge import BEFORE_FIRST, was_clock_set

#: How many entries before and after the last one are searched; a session of a month writes 2,976.
_BACK, _ON = 4_000, 200
#: How many journals are searched, going back.
_JOURNALS = 3
#: Roster versions are milliseconds since 1970; smaller ones are plain counters.
_FIRST_DATED: Final = 1_000_000_000_000
_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """One decoded entry of the session."""

    entry: Entry
    data: wire.SessionStarted | wire.SessionCounters

    @property
    def what(self) -> str:
        """Return its label."""
        return session_labels.label(session_labels.ENTRIES, self.entry.type)

    @property
    def hash(self) -> str:
        """Return the hash of its bytes, as text."""
        return seal.to_text(bytes(self.entry.hash))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The data on the page of a session besides its row."""

    session: UsageSession
    entries: list[SessionEntry]
    start: wire.SessionStarted | None
    grant: Grant | None
    corrections: list[Correction]
    review: Review | None

    @property
    def basis(self) -> str:
        """Return the basis of access, as text."""
        return session_labels.label(session_labels.BASES, self.session.basis)

    @property
    def roster_at(self) -> datetime | None:
        """Return the date of the roster that the gate used."""
        return _roster_at(self.start)

    @property
    def is_grant_gone(self) -> bool:
        """Return whether the roster named a grant that is missing here: one made after the restored backup."""
        return self.grant is None and _number(self.start) is not None

    @property
    def is_sure_of_time(self) -> bool:
        """Return whether the gate's clock was synchronised at start and end, and is not known to be wrong."""
        ends = (self.entries[0], self.entries[-1]) if self.entries else ()
        return bool(ends) and all(one.data.clock.synced for one in ends) and not self.wrong_clock

    @property
    def wrong_clock(self) -> str:
        """Return why the dates are known to be wrong, as text; empty if they are not."""
        if self.session.doubt == BEFORE_FIRST:
            return _("showed a date before the gate's first day: the time counted is exact, the day and hour are not")
        off_ms = self.session.clock_off_ms
        if off_ms is None:
            return (
                _("was set during the session: the time counted is exact, the day and hour are not")
                if was_clock_set(self.session)
                else ""
            )
        ahead = _("was at least %(span)s ahead of the collector's: the time counted is exact, the day and hour are not")
        behind = _("was at least %(span)s behind the collector's: the time counted is exact, the day and hour are not")
        return (ahead if off_ms > 0 else behind) % {"span": durations.clock_error(off_ms)}

    def people(self) -> Names:
        """Return the names of all people on the page, with numbers for those who share a name."""
        ids: list[str | None] = [
            self.session.member,
            self.session.used_by,
            self.session.payer,
            self.session.supervisor,
        ]
        for correction in self.corrections:
            if correction.field in {Correction.MEMBER, Correction.PAYER}:
                ids += [correction.old, correction.new]
        return Names(ids, are_apart=True)


def of(session: UsageSession) -> Evidence:
    """Return the evidence for a session."""
    entries = sorted(_entries(session), key=lambda one: (one.entry.journal_id, one.entry.seq))
    start = next((one.data for one in entries if isinstance(one.data, wire.SessionStarted)), None)
    return Evidence(
        session=session,
        entries=entries,
        start=start,
        grant=_grant(session, start),
        corrections=list(session.corrections.order_by("at", "id")),
        review=Review.objects.filter(session=session).first(),
    )


def _grant(session: UsageSession, start: wire.SessionStarted | None) -> Grant | None:
    """Return the grant that the roster named as the basis, unless its id now belongs to another grant.

    After a restore, ids issued since the backup may be used again. So the grant must be the member's, and must have
    existed when the roster was made, by the collector's clock; if the roster has no date, when the session began, by
    the gate's clock.
    """
    number = _number(start)
    grant = None if number is None else Grant.objects.filter(pk=number).select_related("training").first()
    if grant is None or start is None or grant.member_id != start.member:
        return None
    by = _roster_at(start) or session.started_at or session.not_after
    return grant if by is None or grant.created_at <= by + AHEAD else None


def _number(start: wire.SessionStarted | None) -> int | None:
    named = (start.basis.grant if start else None) or ""
    return int(named) if named.isascii() and named.isdigit() and len(named) <= 18 else None


def _roster_at(start: wire.SessionStarted | None) -> datetime | None:
    version = start.roster if start else 0
    return datetime.fromtimestamp(version / _SECOND_MS, UTC) if _FIRST_DATED <= version < 1 << 43 else None


def history(evidence: Evidence, names: Names, called: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the corrections as text, oldest first; `called` are the names of the authors."""
    return [
        {
            "correction": one,
            "by": called.get(one.author, one.author),
            "field": session_labels.label(session_labels.FIELDS, one.field),
            "old": _value(one.field, one.old, names),
            "new": _value(one.field, one.new, names),
        }
        for one in evidence.corrections
    ]


def _value(field: str, value: str, names: Names) -> str:
    if field == Correction.TIME:
        return clock(int(value)) if value.isdigit() else value
    if field == Correction.PURPOSE:
        return session_labels.label(session_labels.PURPOSES, value)
    return names[value]


def _entries(session: UsageSession) -> Iterator[SessionEntry]:
    journal: Journal | None = session.opened_in
    rows = Entry.objects.filter(type__startswith="session.")
    last = session.opened_seq
    yield from _own(rows.filter(journal=journal, seq__gt=last, seq__lte=last + _ON), session)
    for _journal in range(_JOURNALS):
        if journal is None:
            return
        back = rows.filter(journal=journal, seq__lte=last).order_by("-seq")[:_BACK]
        for entry in _own(back.iterator(chunk_size=100), session):
            yield entry
            if isinstance(entry.data, wire.SessionStarted):
                return
        if not session.has_start:
            return
        # It may have started in the previous journal, if the gate's storage was replaced during the session.
        journal = Journal.objects.filter(gate=session.gate_id, name=journal.predecessor or "-").first()
        last = MAX_SEQ


def _own(rows: Iterable[Entry], session: UsageSession) -> Iterator[SessionEntry]:
    for entry in rows:
        try:
            data = wire.decode_data(entry.decode())
        except ValueError:
            continue  # an undecodable entry belongs to no session's page
        if isinstance(data, wire.SessionStarted | wire.SessionCounters) and data.session == session.id:
            yield SessionEntry(entry, data)

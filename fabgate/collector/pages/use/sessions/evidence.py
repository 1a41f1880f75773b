"""What is known of one session, and how surely? Its entries, who let it begin and on what ground, and what was put right.

An entry does not name its session in a column; one gate writes one session at a time, so that the entries of one lie
close before the last of them, whose number the session's row has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from fabgate import seal, wire
from fabgate.collector.models import Correction, Entry, Grant, Journal, Review, UsageSession
from fabgate.collector.models.arrivals import AHEAD, MAX_SEQ
from fabgate.collector.pages import clocks
from fabgate.collector.pages.use import labels
from fabgate.collector.pages.use.names import Names
from fabgate.collector.sessions.merge import BEFORE_FIRST, was_set

#: How far back, and how far on, entries are looked through: a session of a month writes 2,976 of its own.
_BACK, _ON = 4_000, 200
#: How many journals, each the one before the other.
_JOURNALS = 3
#: Roster versions are milliseconds since 1970; smaller ones were only counted.
_FIRST_DATED: Final = 1_000_000_000_000
_SECOND_MS = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the session, decoded."""

    entry: Entry
    data: wire.SessionStarted | wire.SessionCounters

    @property
    def what(self) -> str:
        """Return what it says, in words."""
        return labels.said(labels.ENTRIES, self.entry.type)

    @property
    def hash(self) -> str:
        """Return the seal of its very bytes."""
        return seal.to_text(bytes(self.entry.hash))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the page of a session shows beside the row itself."""

    session: UsageSession
    told: list[Told]
    start: wire.SessionStarted | None
    grant: Grant | None
    corrections: list[Correction]
    review: Review | None

    @property
    def basis(self) -> str:
        """Return why it was let in, in words."""
        return labels.said(labels.BASES, self.session.basis)

    @property
    def roster_at(self) -> datetime | None:
        """Return of when the roster is by which the gate decided."""
        return _roster_at(self.start)

    @property
    def is_grant_gone(self) -> bool:
        """Whether the roster named a training grant that is not here: it was given after the copy that was restored."""
        return self.grant is None and _number(self.start) is not None

    @property
    def is_sure_of_time(self) -> bool:
        """Whether the gate's clock was synchronised at the start and at the end, and nothing says that it was wrong."""
        ends = (self.told[0], self.told[-1]) if self.told else ()
        return bool(ends) and all(one.data.clock.synced for one in ends) and not self.wrong_clock

    @property
    def wrong_clock(self) -> str:
        """Return how it is known that the dates are wrong, in words; empty where nothing says so."""
        if self.session.doubt == BEFORE_FIRST:
            return _("gave a date before the gate's first day: only the minutes are exact")
        off_ms = self.session.clock_off_ms
        if off_ms is None:
            return _("was set while the session went on: only the minutes are exact") if was_set(self.session) else ""
        ahead = _("was at least %(span)s ahead of the collector's: only the minutes are exact")
        behind = _("was at least %(span)s behind the collector's: only the minutes are exact")
        return (ahead if off_ms > 0 else behind) % {"span": clocks.span(off_ms)}

    def people(self) -> Names:
        """Return the names of everybody whom the page may mention, each told from others of that name."""
        found: list[str | None] = [
            self.session.member,
            self.session.used_by,
            self.session.payer,
            self.session.supervisor,
        ]
        for correction in self.corrections:
            if correction.field in {Correction.MEMBER, Correction.PAYER}:
                found += [correction.old, correction.new]
        return Names(found, are_apart=True)


def of(session: UsageSession) -> Evidence:
    """Gather what is known of a session."""
    told = sorted(_entries(session), key=lambda one: (one.entry.journal_id, one.entry.seq))
    start = next((one.data for one in told if isinstance(one.data, wire.SessionStarted)), None)
    return Evidence(
        session=session,
        told=told,
        start=start,
        grant=_grant(session, start),
        corrections=list(session.corrections.order_by("at", "id")),
        review=Review.objects.filter(session=session).first(),
    )


def _grant(session: UsageSession, start: wire.SessionStarted | None) -> Grant | None:
    """Return the training grant that a roster named as the ground of a session, unless that number is another one's now.

    After a restore the numbers that were given since the copy are free again: a grant counts only where it is the
    member's, and was there when the roster was made, by this collector's own clock; where the roster does not say when
    that was, when the session began, by the gate's.
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
    """Return the corrections as a person reads them, the oldest first; `called`: what authors are called."""
    return [
        {
            "correction": one,
            "by": called.get(one.author, one.author),
            "field": labels.said(labels.FIELDS, one.field),
            "old": _value(one.field, one.old, names),
            "new": _value(one.field, one.new, names),
        }
        for one in evidence.corrections
    ]


def _value(field: str, value: str, names: Names) -> str:
    if field == Correction.TIME:
        return clock(int(value)) if value.isdigit() else value
    if field == Correction.PURPOSE:
        return labels.said(labels.PURPOSES, value)
    return names[value]


def clock(ms: int) -> str:
    """Return a duration as h:mm:ss, never more than it is."""
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _entries(session: UsageSession) -> Iterator[Told]:
    journal: Journal | None = session.opened_in
    mine = Entry.objects.filter(type__startswith="session.")
    last = session.opened_seq
    yield from _own(mine.filter(journal=journal, seq__gt=last, seq__lte=last + _ON), session)
    for _journal in range(_JOURNALS):
        if journal is None:
            return
        back = mine.filter(journal=journal, seq__lte=last).order_by("-seq")[:_BACK]
        for told in _own(back.iterator(chunk_size=100), session):
            yield told
            if isinstance(told.data, wire.SessionStarted):
                return
        if not session.has_start:
            return
        # Its beginning may stand in the journal before: the gate's memory was replaced while it ran.
        journal = Journal.objects.filter(gate=session.gate_id, name=journal.predecessor or "-").first()
        last = MAX_SEQ


def _own(rows: Iterable[Entry], session: UsageSession) -> Iterator[Told]:
    for entry in rows:
        try:
            data = wire.decode_data(entry.decode())
        except ValueError:
            continue  # it is shown on no session's page; it was stored as it came
        if isinstance(data, wire.SessionStarted | wire.SessionCounters) and data.session == session.id:
            yield Told(entry, data)

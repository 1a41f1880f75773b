"""Merges the entries of a session. Their order does not matter, and repeated ones change nothing.

Pure. Every rule is a maximum or depends only on the final set of facts
(tests/collector/recording/sessions/test_merge.py shuffles them):
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct

from fabgate import wire
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.ground.models.sessions.words import (
    CLOCK,
    CONTESTED,
    EARLIER_HOLDER,
    JOURNAL_LOST,
    OWN,
    PURPOSES,
    UNDATED,
)
from fabgate.collector.recording.entries.decode import SessionData
from fabgate.collector.recording.entries.wall_time import BootDates

if TYPE_CHECKING:
    from fabgate.collector.ground.models import UsageSession

#: End reasons that a gate concludes at its next start from its last checkpoint.
CONCLUDED: Final = counted.WRITTEN_LATER
#: The most by which wall clock and boot clock differ within a session, unless the wall clock is set.
MAX_DRIFT: Final = timedelta(seconds=60)
#: An uncertainty up to this counts in the member's favour without a review.
MAX_UNREVIEWED_MS: Final = 60_000
#: Impossible figures (docs/decisions/0038): the counter exceeds the time from start to end; a job ran longer than the
#: machine was on.
TOO_MUCH_TIME: Final = "time-above-clock"
TOO_MUCH_RUNNING: Final = "running-above-time"
#: Two sessions of a gate overlap; an end has no start (recording/sessions/overlaps.py, recording/sessions/derive.py).
OVERLAP: Final = "overlap"
NO_START: Final = "no-start"
#: The session is dated before its gate wrote anything (recording/entries/first_dates.py).
BEFORE_FIRST: Final = "before-first"
#: It lasted longer than its gate's roster allowed.
TOO_LONG: Final = "longer-than-allowed"
#: The limit with any roster: the longest session, the end of a job and a run-on together.
LONGEST: Final = timedelta(seconds=3 * wire.MAX_SECONDS) + MAX_DRIFT
#: The limit without a known roster: it may have allowed anything, up to LONGEST.
UNBOUNDED_MS: Final = 1 << 62
#: Start, end and counters come from one clock, but each is rounded to milliseconds.
_ROUNDING_MS: Final = 1_000
_LONGEST_MS: Final = LONGEST // timedelta(milliseconds=1)


class Arrival(Struct, frozen=True):
    """Where and when an entry of a session was first written (for a copy: the journal and number of its original)."""

    gate_id: int
    machine_id: int | None
    journal_id: int
    seq: int
    time: datetime | None
    arrived_at: datetime
    clock_off_ms: int | None = None
    #: The longest session that the roster named by the entry allows.
    allowed_ms: int = UNBOUNDED_MS


@dataclass(slots=True)
class DerivedSession:
    """One session; its fields are the columns of the table."""

    id: str
    gate_id: int
    machine_id: int | None
    member: str
    badge: str
    opened_in_id: int
    opened_seq: int
    started_at: datetime | None = None
    start_timed: bool = False
    start_boot: str = ""
    start_boottime_ms: int = 0
    has_start: bool = False
    category: str = ""
    earlier_holder: bool = False
    mode: str = ""
    basis: str = ""
    supervisor: str | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    energised_ms: int = 0
    running_ms: int = 0
    uncertainty_ms: int = 0
    review: str | None = None
    doubt: str | None = None
    uncertain: bool = False
    used_by: str = ""
    payer: str = ""
    purpose: str = OWN
    counted_ms: int = 0
    corrected: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    has_end: bool = False
    end_reason: str = ""
    last_at: datetime | None = None
    last_arrived_at: datetime | None = None
    last_timed: bool = False
    last_boot: str = ""
    last_boottime_ms: int = -1
    last_energised_ms: int = 0
    hint_ms: int = 0
    clock_off_ms: int | None = None
    early_ms: int = 0
    allowed_ms: int | None = None
    energy_wh: int | None = None
    running_unknown_ms: int | None = None


COLUMNS: Final = tuple(field.name for field in fields(DerivedSession))


def absorb(session: DerivedSession | None, data: SessionData, arrival: Arrival) -> DerivedSession:
    """Merge one more entry into `session`; return it, or a new one if it is None.

    A session of another gate is not changed: no gate may change the sessions of another one.
    """
    if session is None:
        session = DerivedSession(
            id=data.session,
            gate_id=arrival.gate_id,
            machine_id=arrival.machine_id,
            member=data.member,
            badge=data.badge,
            opened_in_id=arrival.journal_id,
            opened_seq=arrival.seq,
            allowed_ms=arrival.allowed_ms,
        )
    elif session.gate_id != arrival.gate_id:
        return session
    if arrival.clock_off_ms is not None:
        session.clock_off_ms = max(arrival.clock_off_ms, session.clock_off_ms or 0, key=lambda ms: (abs(ms), ms))
    # Of several rosters the most generous counts: a new one may have come into force during the session.
    if session.allowed_ms is not None:
        session.allowed_ms = max(arrival.allowed_ms, session.allowed_ms)
    if isinstance(data, wire.SessionStarted):
        _merge_start(session, data, arrival)
        _merge_latest(session, data, arrival, energised_ms=0)
        return session
    if not session.has_start:
        session.member, session.badge = max((session.member, session.badge), (data.member, data.badge))
    session.energised_ms = max(session.energised_ms, data.energised_ms)
    session.running_ms = max(session.running_ms, data.running_ms)
    if data.running_unknown_ms is not UNSET:
        session.running_unknown_ms = max(session.running_unknown_ms or 0, data.running_unknown_ms)
    _merge_latest(session, data, arrival, energised_ms=data.energised_ms)
    return session


def conclude(session: DerivedSession, *, start: BootDates, last: BootDates, abandoned: bool) -> None:
    """Conclude the dates of a session, and how it ended.

    `start` and `last` are the dates of the boots of its first and latest fact. `abandoned` means that its gate now
    writes another journal.
    """
    if session.has_start and not session.start_timed:
        session.started_at = start.tie.date(session.start_boottime_ms) if start.tie else None
    if not session.last_timed:
        session.last_at = last.tie.date(session.last_boottime_ms) if last.tie else None
    _place(session, start, last)
    if session.has_end:
        session.reason = session.end_reason
    else:
        session.reason = JOURNAL_LOST if abandoned else None
    session.ended_at = None if session.reason is None else session.last_at or session.not_after


def judge(session: DerivedSession, *, image: bool, impossible: str | None) -> None:
    """Decide whether a session needs a review, and which figures count.

    `image`: a restored image of unknown age wrote the end. `impossible`: a contradiction with other sessions.
    """
    doubt = _doubt(session, image=image, impossible=impossible)
    is_another, session.doubt = doubt != session.doubt, doubt
    wait(session, doubt if is_another and session.review != CONTESTED else session.review)
    if "member" not in session.corrected:
        session.used_by = session.member
    if "time" not in session.corrected:
        session.counted_ms = session.energised_ms


def wait(session: DerivedSession, why: str | None) -> None:
    """Set the reason for which a session waits for a review, or None."""
    session.review = why
    session.uncertain = counted.uncertainty_ms(session) > 0 or why is not None


def _place(session: DerivedSession, start: BootDates, last: BootDates) -> None:
    """Set the span in which a session lies, if its start or end has no date because a boot never synchronised."""
    session.not_before = session.not_after = None
    is_start_known = session.started_at is not None or not session.has_start
    if is_start_known and session.last_at is not None:
        return
    session.not_before = session.started_at or (start if session.has_start else last).not_before
    if session.last_at is not None:
        session.not_after = session.last_at
    else:
        # Its arrival at the latest, and never before its beginning, even if the wall clock was set back.
        limits = [limit for limit in (last.not_after, session.last_arrived_at) if limit is not None]
        session.not_after = max(min(limits), session.not_before or min(limits))


def _doubt(session: DerivedSession, *, image: bool, impossible: str | None) -> str | None:
    if session.reason is None:
        return None
    if not session.has_end:
        return JOURNAL_LOST
    if (impossible_figures := _impossible(session) or impossible) is not None:
        return impossible_figures
    if image and session.end_reason in CONCLUDED:
        return "restored-image"
    if max(session.hint_ms, session.energised_ms) > session.last_energised_ms + session.uncertainty_ms:
        return "counter-above-end"
    if session.uncertainty_ms > MAX_UNREVIEWED_MS:
        return "uncertain"
    if session.not_after is not None:
        return UNDATED
    if session.earlier_holder:
        return EARLIER_HOLDER
    return CLOCK if session.clock_off_ms is not None or was_clock_set(session) else None


def _impossible(session: DerivedSession) -> str | None:
    """Return why the figures of an ended session are impossible, or None."""
    if session.running_ms > session.energised_ms:
        return TOO_MUCH_RUNNING
    most_ms = between_ms(session)
    if most_ms is not None and session.last_energised_ms > most_ms:
        return TOO_MUCH_TIME
    if session.energised_ms > longest_ms(session):
        return TOO_LONG
    # An end in CONCLUDED was written at the next start, so the dates do not limit the session.
    if most_ms is None or session.end_reason in CONCLUDED:
        return None
    return TOO_LONG if most_ms - session.early_ms > _LONGEST_MS else None


def longest_ms(session: DerivedSession | UsageSession) -> int:
    """Return how long a session may last by its roster, or else by any roster."""
    return min(_LONGEST_MS, _LONGEST_MS if session.allowed_ms is None else session.allowed_ms)


def between_ms(session: DerivedSession | UsageSession) -> int | None:
    """Return the longest time that the machine can have been on from start to end; None if no clock shows it.

    Measured by the boot clock if both belong to one boot, or else by the wall clock if both have a date.
    """
    if not session.has_start:
        return None
    if session.start_boot == session.last_boot:
        return session.last_boottime_ms - session.start_boottime_ms + session.early_ms + _ROUNDING_MS
    if session.started_at is None or session.last_at is None:
        return None
    return (session.last_at - session.started_at + MAX_DRIFT) // timedelta(milliseconds=1) + session.early_ms


def is_before(session: DerivedSession, moment: datetime | None) -> bool:
    """Return whether a session's start or latest fact is dated before `moment`; False if `moment` is None.

    It is False if the clock is known to have been wrong: CLOCK is then the better reason.
    """
    if moment is None or session.clock_off_ms is not None:
        return False
    is_early = any(at is not None and at < moment for at in (session.started_at, session.last_at))
    return is_early and not was_clock_set(session)


def was_clock_set(session: DerivedSession | UsageSession) -> bool:
    """Return whether the wall clock was set during a session, so that its start or its end has a wrong date."""
    if not session.start_timed or not session.last_timed or session.start_boot != session.last_boot:
        return False
    assert session.started_at is not None
    assert session.last_at is not None
    return are_apart(session.started_at, session.last_at, session.last_boottime_ms - session.start_boottime_ms)


def are_apart(began: datetime, ended: datetime, boottime_ms: int) -> bool:
    """Return whether wall clock and boot clock disagree about the time between two moments."""
    return abs(ended - began - timedelta(milliseconds=boottime_ms)) > MAX_DRIFT


def _merge_start(session: DerivedSession, data: wire.SessionStarted, arrival: Arrival) -> None:
    """Merge the session's start from an entry. If a faulty gate wrote two starts, the earlier counts."""
    if session.has_start and _start_key(session) <= _start_key(_with_start(copy(session), data, arrival)):
        return
    _with_start(session, data, arrival)


def _start_key(session: DerivedSession) -> tuple[object, ...]:
    """Return a sort key of starts.

    Different starts never have the same key; otherwise the last to arrive would count.
    """
    wall = session.started_at if session.start_timed else None
    return (
        *(
            session.start_boottime_ms,
            session.start_boot,
            wall is not None,
            wall and wall.timestamp(),
            -session.early_ms,
        ),
        *(session.member, session.badge, session.mode, session.basis, session.supervisor or "", session.purpose),
    )


def _with_start(session: DerivedSession, data: wire.SessionStarted, arrival: Arrival) -> DerivedSession:
    session.has_start = True
    session.member, session.badge = data.member, data.badge
    session.start_timed, session.started_at = arrival.time is not None, arrival.time
    session.start_boot, session.start_boottime_ms = data.clock.boot, data.clock.boottime_ms
    on_from_ms = data.energised_from_ms
    session.early_ms = 0 if on_from_ms is None else max(0, data.clock.boottime_ms - on_from_ms)
    session.mode, session.basis, session.supervisor = data.mode, data.basis.kind, data.supervisor
    if "purpose" not in session.corrected:
        purpose = data.purpose if data.purpose in PURPOSES else OWN
        session.purpose = "maintenance" if purpose == OWN and session.basis == "maintainer" else purpose
    return session


def _merge_latest(session: DerivedSession, data: SessionData, arrival: Arrival, *, energised_ms: int) -> None:
    """Make this the latest fact of the session, if it is."""
    is_end = isinstance(data, wire.SessionEnded)
    uncertainty_ms = data.uncertainty_ms if isinstance(data, wire.SessionEnded) else 0
    reason = data.reason if isinstance(data, wire.SessionEnded) else ""
    energy_wh = _energy_wh(data)
    current = (
        session.has_end,
        session.last_energised_ms,
        session.uncertainty_ms,
        session.last_boottime_ms,
        session.last_boot,
        session.end_reason,
        _or_less_than_0(session.energy_wh),
    )
    fact = (is_end, energised_ms, uncertainty_ms, data.clock.boottime_ms, data.clock.boot, reason)
    if (*fact, _or_less_than_0(energy_wh)) <= current:
        return
    session.has_end, session.end_reason, session.uncertainty_ms = is_end, reason, uncertainty_ms
    session.last_energised_ms, session.energy_wh = energised_ms, energy_wh
    session.last_timed, session.last_at = arrival.time is not None, arrival.time
    session.last_arrived_at = arrival.arrived_at if arrival.time is None else None
    session.last_boot, session.last_boottime_ms = data.clock.boot, data.clock.boottime_ms
    session.opened_in_id, session.opened_seq = arrival.journal_id, arrival.seq


def _energy_wh(data: SessionData) -> int | None:
    """Return the energy that an entry names, or None.

    Of a session only its latest fact counts. After one that names none, such as an end that the gate wrote at its next
    start, it is not known how much it took in all.
    """
    if isinstance(data, wire.SessionStarted) or data.energy_wh is UNSET:
        return None
    return data.energy_wh


def _or_less_than_0(energy_wh: int | None) -> int:
    return -1 if energy_wh is None else energy_wh

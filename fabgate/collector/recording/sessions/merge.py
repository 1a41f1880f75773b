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
class Usage:
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


COLUMNS: Final = tuple(field.name for field in fields(Usage))


def absorb(usage: Usage | None, data: SessionData, arrival: Arrival) -> Usage:
    """Merge one more entry into `usage`; return it, or a new one if it is None.

    A session of another gate is not changed: no gate may change the sessions of another one.
    """
    if usage is None:
        usage = Usage(
            id=data.session,
            gate_id=arrival.gate_id,
            machine_id=arrival.machine_id,
            member=data.member,
            badge=data.badge,
            opened_in_id=arrival.journal_id,
            opened_seq=arrival.seq,
            allowed_ms=arrival.allowed_ms,
        )
    elif usage.gate_id != arrival.gate_id:
        return usage
    if arrival.clock_off_ms is not None:
        usage.clock_off_ms = max(arrival.clock_off_ms, usage.clock_off_ms or 0, key=lambda ms: (abs(ms), ms))
    # Of several rosters the most generous counts: a new one may have come into force during the session.
    if usage.allowed_ms is not None:
        usage.allowed_ms = max(arrival.allowed_ms, usage.allowed_ms)
    if isinstance(data, wire.SessionStarted):
        _merge_start(usage, data, arrival)
        _merge_latest(usage, data, arrival, energised_ms=0)
        return usage
    if not usage.has_start:
        usage.member, usage.badge = max((usage.member, usage.badge), (data.member, data.badge))
    usage.energised_ms = max(usage.energised_ms, data.energised_ms)
    usage.running_ms = max(usage.running_ms, data.running_ms)
    if data.running_unknown_ms is not UNSET:
        usage.running_unknown_ms = max(usage.running_unknown_ms or 0, data.running_unknown_ms)
    _merge_latest(usage, data, arrival, energised_ms=data.energised_ms)
    return usage


def conclude(usage: Usage, *, start: BootDates, last: BootDates, abandoned: bool) -> None:
    """Conclude the dates of a session, and how it ended.

    `start` and `last` are the dates of the boots of its first and latest fact. `abandoned` means that its gate now
    writes another journal.
    """
    if usage.has_start and not usage.start_timed:
        usage.started_at = start.tie.date(usage.start_boottime_ms) if start.tie else None
    if not usage.last_timed:
        usage.last_at = last.tie.date(usage.last_boottime_ms) if last.tie else None
    _place(usage, start, last)
    if usage.has_end:
        usage.reason = usage.end_reason
    else:
        usage.reason = JOURNAL_LOST if abandoned else None
    usage.ended_at = None if usage.reason is None else usage.last_at or usage.not_after


def judge(usage: Usage, *, image: bool, impossible: str | None) -> None:
    """Decide whether a session needs a review, and which figures count.

    `image`: a restored image of unknown age wrote the end. `impossible`: a contradiction with other sessions.
    """
    doubt = _doubt(usage, image=image, impossible=impossible)
    is_another, usage.doubt = doubt != usage.doubt, doubt
    wait(usage, doubt if is_another and usage.review != CONTESTED else usage.review)
    if "member" not in usage.corrected:
        usage.used_by = usage.member
    if "time" not in usage.corrected:
        usage.counted_ms = usage.energised_ms


def wait(usage: Usage, why: str | None) -> None:
    """Set the reason for which a session waits for a review, or None."""
    usage.review = why
    usage.uncertain = counted.uncertainty_ms(usage) > 0 or why is not None


def _place(usage: Usage, start: BootDates, last: BootDates) -> None:
    """Set the span in which a session lies, if its start or end has no date because a boot never synchronised."""
    usage.not_before = usage.not_after = None
    is_start_known = usage.started_at is not None or not usage.has_start
    if is_start_known and usage.last_at is not None:
        return
    usage.not_before = usage.started_at or (start if usage.has_start else last).not_before
    if usage.last_at is not None:
        usage.not_after = usage.last_at
    else:
        # Its arrival at the latest, and never before its beginning, even if the wall clock was set back.
        limits = [limit for limit in (last.not_after, usage.last_arrived_at) if limit is not None]
        usage.not_after = max(min(limits), usage.not_before or min(limits))


def _doubt(usage: Usage, *, image: bool, impossible: str | None) -> str | None:
    if usage.reason is None:
        return None
    if not usage.has_end:
        return JOURNAL_LOST
    if (impossible_figures := _impossible(usage) or impossible) is not None:
        return impossible_figures
    if image and usage.end_reason in CONCLUDED:
        return "restored-image"
    if max(usage.hint_ms, usage.energised_ms) > usage.last_energised_ms + usage.uncertainty_ms:
        return "counter-above-end"
    if usage.uncertainty_ms > MAX_UNREVIEWED_MS:
        return "uncertain"
    if usage.not_after is not None:
        return UNDATED
    if usage.earlier_holder:
        return EARLIER_HOLDER
    return CLOCK if usage.clock_off_ms is not None or was_clock_set(usage) else None


def _impossible(usage: Usage) -> str | None:
    """Return why the figures of an ended session are impossible, or None."""
    if usage.running_ms > usage.energised_ms:
        return TOO_MUCH_RUNNING
    most_ms = between_ms(usage)
    if most_ms is not None and usage.last_energised_ms > most_ms:
        return TOO_MUCH_TIME
    if usage.energised_ms > longest_ms(usage):
        return TOO_LONG
    # An end in CONCLUDED was written at the next start, so the dates do not limit the session.
    if most_ms is None or usage.end_reason in CONCLUDED:
        return None
    return TOO_LONG if most_ms - usage.early_ms > _LONGEST_MS else None


def longest_ms(usage: Usage | UsageSession) -> int:
    """Return how long a session may last by its roster, or else by any roster."""
    return min(_LONGEST_MS, _LONGEST_MS if usage.allowed_ms is None else usage.allowed_ms)


def between_ms(usage: Usage | UsageSession) -> int | None:
    """Return the longest time that the machine can have been on from start to end; None if no clock shows it.

    Measured by the boot clock if both belong to one boot, or else by the wall clock if both have a date.
    """
    if not usage.has_start:
        return None
    if usage.start_boot == usage.last_boot:
        return usage.last_boottime_ms - usage.start_boottime_ms + usage.early_ms + _ROUNDING_MS
    if usage.started_at is None or usage.last_at is None:
        return None
    return (usage.last_at - usage.started_at + MAX_DRIFT) // timedelta(milliseconds=1) + usage.early_ms


def is_before(usage: Usage, moment: datetime | None) -> bool:
    """Return whether a session's start or latest fact is dated before `moment`; False if `moment` is None.

    It is False if the clock is known to have been wrong: CLOCK is then the better reason.
    """
    if moment is None or usage.clock_off_ms is not None:
        return False
    is_early = any(at is not None and at < moment for at in (usage.started_at, usage.last_at))
    return is_early and not was_clock_set(usage)


def was_clock_set(usage: Usage | UsageSession) -> bool:
    """Return whether the wall clock was set during a session, so that its start or its end has a wrong date."""
    if not usage.start_timed or not usage.last_timed or usage.start_boot != usage.last_boot:
        return False
    assert usage.started_at is not None
    assert usage.last_at is not None
    return are_apart(usage.started_at, usage.last_at, usage.last_boottime_ms - usage.start_boottime_ms)


def are_apart(began: datetime, ended: datetime, boottime_ms: int) -> bool:
    """Return whether wall clock and boot clock disagree about the time between two moments."""
    return abs(ended - began - timedelta(milliseconds=boottime_ms)) > MAX_DRIFT


def _merge_start(usage: Usage, data: wire.SessionStarted, arrival: Arrival) -> None:
    """Merge the session's start from an entry. If a faulty gate wrote two starts, the earlier counts."""
    if usage.has_start and _start_key(usage) <= _start_key(_with_start(copy(usage), data, arrival)):
        return
    _with_start(usage, data, arrival)


def _start_key(usage: Usage) -> tuple[object, ...]:
    """Return a sort key of starts.

    Different starts never have the same key; otherwise the last to arrive would count.
    """
    wall = usage.started_at if usage.start_timed else None
    return (
        *(usage.start_boottime_ms, usage.start_boot, wall is not None, wall and wall.timestamp(), -usage.early_ms),
        *(usage.member, usage.badge, usage.mode, usage.basis, usage.supervisor or "", usage.purpose),
    )


def _with_start(usage: Usage, data: wire.SessionStarted, arrival: Arrival) -> Usage:
    usage.has_start = True
    usage.member, usage.badge = data.member, data.badge
    usage.start_timed, usage.started_at = arrival.time is not None, arrival.time
    usage.start_boot, usage.start_boottime_ms = data.clock.boot, data.clock.boottime_ms
    on_from_ms = data.energised_from_ms
    usage.early_ms = 0 if on_from_ms is None else max(0, data.clock.boottime_ms - on_from_ms)
    usage.mode, usage.basis, usage.supervisor = data.mode, data.basis.kind, data.supervisor
    if "purpose" not in usage.corrected:
        purpose = data.purpose if data.purpose in PURPOSES else OWN
        usage.purpose = "maintenance" if purpose == OWN and usage.basis == "maintainer" else purpose
    return usage


def _merge_latest(usage: Usage, data: SessionData, arrival: Arrival, *, energised_ms: int) -> None:
    """Make this the latest fact of the session, if it is."""
    is_end = isinstance(data, wire.SessionEnded)
    uncertainty_ms = data.uncertainty_ms if isinstance(data, wire.SessionEnded) else 0
    reason = data.reason if isinstance(data, wire.SessionEnded) else ""
    energy_wh = _energy_wh(data)
    current = (
        usage.has_end,
        usage.last_energised_ms,
        usage.uncertainty_ms,
        usage.last_boottime_ms,
        usage.last_boot,
        usage.end_reason,
        _or_less_than_0(usage.energy_wh),
    )
    fact = (is_end, energised_ms, uncertainty_ms, data.clock.boottime_ms, data.clock.boot, reason)
    if (*fact, _or_less_than_0(energy_wh)) <= current:
        return
    usage.has_end, usage.end_reason, usage.uncertainty_ms = is_end, reason, uncertainty_ms
    usage.last_energised_ms, usage.energy_wh = energised_ms, energy_wh
    usage.last_timed, usage.last_at = arrival.time is not None, arrival.time
    usage.last_arrived_at = arrival.arrived_at if arrival.time is None else None
    usage.last_boot, usage.last_boottime_ms = data.clock.boot, data.clock.boottime_ms
    usage.opened_in_id, usage.opened_seq = arrival.journal_id, arrival.seq


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

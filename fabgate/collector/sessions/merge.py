"""What do a session's entries say together, in whatever order and however often they arrived?

Pure. Every rule is a maximum or depends on the final set of facts only, which is why late, doubled and reordered
entries change nothing (tests/collector/sessions/test_merge.py shuffles them):

- counters are cumulative: the maximum counts;
- of two ends the larger value holds, *with its own uncertainty*, reason and time, as a pair;
- a real end, however late, beats the one that is only concluded from the gate's new journal;
- what is in doubt is derived anew each time, never kept; what a person settled waits again only for another doubt;
- what a person corrected stays corrected, whatever arrives afterwards.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fabgate import wire
from fabgate.collector.entries.decode import SessionData
from fabgate.collector.entries.wall_time import When
from fabgate.collector.models import counted
from fabgate.collector.models.words import CLOCK, CONTESTED, EARLIER_HOLDER, JOURNAL_LOST, OWN, PURPOSES, UNDATED

if TYPE_CHECKING:
    from fabgate.collector.models import UsageSession

#: Ends that a gate concludes at its start from the last checkpoint.
CONCLUDED: Final = counted.WRITTEN_LATER
#: Wall and boot clock of a machine run apart by less than this in a session, unless somebody sets the wall clock.
MAX_DRIFT: Final = timedelta(seconds=60)
#: Up to here an uncertain end is settled in the member's favour without asking anybody.
MAX_UNREVIEWED_MS: Final = 60_000
#: What cannot be (docs/decisions/0038). The counter says more than the time between start and end; a job ran for longer
#: than the machine was on.
TOO_MUCH_TIME: Final = "time-above-clock"
TOO_MUCH_RUNNING: Final = "running-above-time"
#: Nor can two sessions of a gate be at one time, or an end without a start (sessions/overlaps.py, sessions/derive.py).
OVERLAP: Final = "overlap"
NO_START: Final = "no-start"
#: Nor can one be dated before its gate wrote anything (entries/first_dates.py).
BEFORE_FIRST: Final = "before-first"
#: It lasted longer than the roster allowed by which its gate decided.
TOO_LONG: Final = "longer-than-allowed"
#: Whatever a roster said: no rules allow a longest session, a job that ends and a run-on of more than this together.
LONGEST: Final = timedelta(seconds=3 * wire.MAX_SECONDS) + MAX_DRIFT
#: A roster that this collector never served may have allowed anything, up to LONGEST.
UNBOUNDED_MS: Final = 1 << 62
#: Start, end and counters are read from one clock; they are rounded to milliseconds one by one.
_ROUNDING_MS: Final = 1_000
_LONGEST_MS: Final = LONGEST // timedelta(milliseconds=1)


class Sight(Struct, frozen=True):
    """Where and when an entry of a session was first written (a copy's original journal and number)."""

    gate_id: int
    machine_id: int | None
    journal_id: int
    seq: int
    time: datetime | None
    arrived_at: datetime
    clock_off_ms: int | None = None
    #: For how long a session may last by the roster that the entry names.
    allowed_ms: int = UNBOUNDED_MS


@dataclass(slots=True)
class Usage:
    """One row of the table; the fields are its columns."""

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


COLUMNS: Final = tuple(field.name for field in fields(Usage))


def absorb(usage: Usage | None, data: SessionData, sight: Sight) -> Usage:
    """Return `usage` (made where there is none yet) with one more entry in it.

    A session id that another gate already uses is left alone: no gate may change its neighbour's minutes.
    """
    if usage is None:
        usage = Usage(
            id=data.session,
            gate_id=sight.gate_id,
            machine_id=sight.machine_id,
            member=data.member,
            badge=data.badge,
            opened_in_id=sight.journal_id,
            opened_seq=sight.seq,
            allowed_ms=sight.allowed_ms,
        )
    elif usage.gate_id != sight.gate_id:
        return usage
    if sight.clock_off_ms is not None:
        usage.clock_off_ms = max(sight.clock_off_ms, usage.clock_off_ms or 0, key=lambda ms: (abs(ms), ms))
    # By the most generous of its rosters: another one may have come into force while it went on.
    if usage.allowed_ms is not None:
        usage.allowed_ms = max(sight.allowed_ms, usage.allowed_ms)
    if isinstance(data, wire.SessionStarted):
        _start(usage, data, sight)
        _look(usage, data, sight, energised_ms=0)
        return usage
    if not usage.has_start:
        usage.member, usage.badge = max((usage.member, usage.badge), (data.member, data.badge))
    usage.energised_ms = max(usage.energised_ms, data.energised_ms)
    usage.running_ms = max(usage.running_ms, data.running_ms)
    _look(usage, data, sight, energised_ms=data.energised_ms)
    return usage


def settle(
    usage: Usage, *, start: When, last: When, abandoned: bool, image: bool, impossible: str | None = None
) -> None:
    """Conclude what follows from all that is known: dates, the end and whether a person must look."""
    conclude(usage, start=start, last=last, abandoned=abandoned)
    judge(usage, image=image, impossible=impossible)


def conclude(usage: Usage, *, start: When, last: When, abandoned: bool) -> None:
    """Conclude when a session was, and how it ended.

    `start` and `last` are the boots of the first and the latest fact. `abandoned`: the gate writes another journal now.
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
    """Say why a person must look at a session, if they must, and what counts.

    `image`: the end was written by a restored image of unknown age. `impossible`: what cannot be of it as it stands
    among others.
    """
    doubt = _doubt(usage, image=image, impossible=impossible)
    is_another, usage.doubt = doubt != usage.doubt, doubt
    wait(usage, doubt if is_another and usage.review != CONTESTED else usage.review)
    if "member" not in usage.corrected:
        usage.used_by = usage.member
    if "time" not in usage.corrected:
        usage.counted_ms = usage.energised_ms


def wait(usage: Usage, why: str | None) -> None:
    """Let a session wait for a person's look, or no more (None)."""
    usage.review = why
    usage.uncertain = counted.uncertainty_ms(usage) > 0 or why is not None


def _place(usage: Usage, start: When, last: When) -> None:
    """Say what the session lies between, where a boot that never synchronised leaves its start or its end in doubt."""
    usage.not_before = usage.not_after = None
    is_start_known = usage.started_at is not None or not usage.has_start
    if is_start_known and usage.last_at is not None:
        return
    usage.not_before = usage.started_at or (start if usage.has_start else last).not_before
    if usage.last_at is not None:
        usage.not_after = usage.last_at
    else:
        # Arrival at the latest; and a wall clock that was set back makes no interval that ends before it begins.
        limits = [limit for limit in (last.not_after, usage.last_arrived_at) if limit is not None]
        usage.not_after = max(min(limits), usage.not_before or min(limits))


def _doubt(usage: Usage, *, image: bool, impossible: str | None) -> str | None:
    if usage.reason is None:
        return None
    if not usage.has_end:
        return JOURNAL_LOST
    if (found := _impossible(usage) or impossible) is not None:
        return found
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
    return CLOCK if usage.clock_off_ms is not None or was_set(usage) else None


def _impossible(usage: Usage) -> str | None:
    """Return what the figures of an ended session cannot be; None where they can."""
    if usage.running_ms > usage.energised_ms:
        return TOO_MUCH_RUNNING
    most_ms = _between_ms(usage)
    if most_ms is not None and usage.last_energised_ms > most_ms:
        return TOO_MUCH_TIME
    if usage.energised_ms > min(_LONGEST_MS, _LONGEST_MS if usage.allowed_ms is None else usage.allowed_ms):
        return TOO_LONG
    if most_ms is None or usage.end_reason in CONCLUDED:  # written down at the next start, whenever that was
        return None
    return TOO_LONG if most_ms - usage.early_ms > _LONGEST_MS else None


def _between_ms(usage: Usage) -> int | None:
    """Return how long the machine can have been on between start and end; None where no clock says.

    The boot clock says it where both were of one boot, and else the wall clock where both have a date.
    """
    if not usage.has_start:
        return None
    if usage.start_boot == usage.last_boot:
        return usage.last_boottime_ms - usage.start_boottime_ms + usage.early_ms + _ROUNDING_MS
    if usage.started_at is None or usage.last_at is None:
        return None
    return (usage.last_at - usage.started_at + MAX_DRIFT) // timedelta(milliseconds=1) + usage.early_ms


def is_before(usage: Usage, moment: datetime | None) -> bool:
    """Whether a session's start or its latest fact is dated before `moment`; None is before everything.

    Not where the clock itself is known to have been wrong: that is CLOCK, and says more.
    """
    if moment is None or usage.clock_off_ms is not None:
        return False
    is_early = any(at is not None and at < moment for at in (usage.started_at, usage.last_at))
    return is_early and not was_set(usage)


def was_set(usage: Usage | UsageSession) -> bool:
    """Whether the wall clock was set between a session's start and its end, so that one of the two dates is wrong."""
    if not usage.start_timed or not usage.last_timed or usage.start_boot != usage.last_boot:
        return False
    assert usage.started_at is not None
    assert usage.last_at is not None
    return are_apart(usage.started_at, usage.last_at, usage.last_boottime_ms - usage.start_boottime_ms)


def are_apart(began: datetime, ended: datetime, boottime_ms: int) -> bool:
    """Whether the wall clock says another time between two moments than the clock of their boot."""
    return abs(ended - began - timedelta(milliseconds=boottime_ms)) > MAX_DRIFT


def _start(usage: Usage, data: wire.SessionStarted, sight: Sight) -> None:
    """Take the session's start from an entry. Of two, which only a broken gate writes, the earlier one counts."""
    if usage.has_start and _start_key(usage) <= _start_key(_with_start(copy(usage), data, sight)):
        return
    _with_start(usage, data, sight)


def _start_key(usage: Usage) -> tuple[object, ...]:
    """Return by what starts are told apart; no two that differ are alike, or the one that came last would count."""
    wall = usage.started_at if usage.start_timed else None
    return (
        *(usage.start_boottime_ms, usage.start_boot, wall is not None, wall and wall.timestamp(), -usage.early_ms),
        *(usage.member, usage.badge, usage.mode, usage.basis, usage.supervisor or "", usage.purpose),
    )


def _with_start(usage: Usage, data: wire.SessionStarted, sight: Sight) -> Usage:
    usage.has_start = True
    usage.member, usage.badge = data.member, data.badge
    usage.start_timed, usage.started_at = sight.time is not None, sight.time
    usage.start_boot, usage.start_boottime_ms = data.clock.boot, data.clock.boottime_ms
    on_from_ms = data.energised_from_ms
    usage.early_ms = 0 if on_from_ms is None else max(0, data.clock.boottime_ms - on_from_ms)
    usage.mode, usage.basis, usage.supervisor = data.mode, data.basis.kind, data.supervisor
    if "purpose" not in usage.corrected:
        told = data.purpose if data.purpose in PURPOSES else OWN
        usage.purpose = "maintenance" if told == OWN and usage.basis == "maintainer" else told
    return usage


def _look(usage: Usage, data: SessionData, sight: Sight, *, energised_ms: int) -> None:
    """Make this the latest fact, if it is."""
    is_end = isinstance(data, wire.SessionEnded)
    uncertainty_ms = data.uncertainty_ms if isinstance(data, wire.SessionEnded) else 0
    reason = data.reason if isinstance(data, wire.SessionEnded) else ""
    held = (
        usage.has_end,
        usage.last_energised_ms,
        usage.uncertainty_ms,
        usage.last_boottime_ms,
        usage.last_boot,
        usage.end_reason,
    )
    if (is_end, energised_ms, uncertainty_ms, data.clock.boottime_ms, data.clock.boot, reason) <= held:
        return
    usage.has_end, usage.end_reason, usage.uncertainty_ms = is_end, reason, uncertainty_ms
    usage.last_energised_ms = energised_ms
    usage.last_timed, usage.last_at = sight.time is not None, sight.time
    usage.last_arrived_at = sight.arrived_at if sight.time is None else None
    usage.last_boot, usage.last_boottime_ms = data.clock.boot, data.clock.boottime_ms
    usage.opened_in_id, usage.opened_seq = sight.journal_id, sight.seq

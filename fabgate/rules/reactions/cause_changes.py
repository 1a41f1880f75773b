"""What forbids the use of the machine, and what a cause does to a session.

A cause is raised by the daemon, by a roster (a lock, its age) or by a member's flag. Those in ``CUT`` switch power off
at once, those in ``END_WITH_NOTICE`` end a session once its job is done, or after a notice if the machine stands still;
the others only forbid the next start. Every cause cancels a waiting start.
"""

from __future__ import annotations

from fabgate.rules.intents import AddCause, CancelStart, Cut, EndByRules, Intent, RecordFacts, RemoveCause, SeeCard
from fabgate.rules.machine import Machine
from fabgate.rules.reactions.in_session import end_with_notice, grace
from fabgate.rules.vocabulary import (
    CUT,
    END_WITH_NOTICE,
    Blocked,
    Cause,
    CauseCleared,
    CauseRaised,
    Cleared,
    EndReason,
    MachineRules,
    Mode,
)


def raised(machine: Machine, cause: Cause, detail: str) -> tuple[Intent, ...]:
    """React to a cause. If it exists already, only its detail changes."""
    add = AddCause(cause, detail)
    if cause in machine.causes:
        return (add,)
    blocked = Blocked(cause, detail)
    if cause in CUT:
        return add, Cut(EndReason.LOCK if cause is Cause.LOCK_NOW else EndReason.FAULT, (blocked,))
    intents = (add, CancelStart(), RecordFacts((blocked,)))
    if cause in END_WITH_NOTICE:
        return *intents, *end_with_notice(machine, EndReason.LOCK, cause)
    if cause is Cause.READER and machine.rules.mode is Mode.HOLD:
        return *intents, *grace(machine, is_seen=False)  # no reader proves any more that the card is in its holder
    return intents


def cleared(machine: Machine, cause: Cause, member: str | None) -> tuple[Intent, ...]:
    """React to the end of a cause; `member` cleared it on site."""
    if cause not in machine.causes:
        return ()
    intents = (RemoveCause(cause), RecordFacts((Cleared(cause, member),)))
    session = machine.session
    if cause is Cause.READER and session is not None and session.present:
        return *intents, SeeCard(session.badge, present=True)  # the reader only hung: the card was there all the time
    return intents


def checkpoint_late(machine: Machine, detail: str) -> tuple[Intent, ...]:
    """End a session whose minutes are no longer recorded, as a lock would.

    A single failed write only forbids the next start.
    """
    blocked = raised(machine, Cause.JOURNAL, detail)
    return (*blocked, EndByRules(EndReason.FAULT)) if machine.active else blocked


def of_roster(rules: MachineRules, *, stale: bool) -> tuple[CauseRaised | CauseCleared, ...]:
    """Return the causes that a roster raises or clears by its lock and by its age, in this order."""
    lock = rules.lock
    applies = {
        Cause.LOCK_NOW: lock is not None and lock.now,
        Cause.LOCK_AFTER_JOB: lock is not None and not lock.now,
        Cause.STALE: stale and rules.refuses_when_stale,
    }
    reason = "" if lock is None else lock.reason
    raises = [CauseRaised(cause, "" if cause is Cause.STALE else reason) for cause, holds in applies.items() if holds]
    clears = [CauseCleared(cause) for cause, holds in applies.items() if not holds]
    return (*raises, *clears)

"""Decides what happens during a session: the stop button, the run-sense input, more time, a removed card.

If a member is blocked, or their membership expires, the session is never cut: it ends by the rules, as with a lock.
"""

from __future__ import annotations

from fabgate.rules.intents import (
    CancelStart,
    CountWork,
    Cut,
    EndByRules,
    EndJob,
    GiveTime,
    Intent,
    ResumeJob,
    SetGrace,
)
from fabgate.rules.machine import Machine, Phase, Session
from fabgate.rules.vocabulary import EndReason, SignalKind


def stop_pressed(machine: Machine, actor: str | None) -> tuple[Intent, ...]:
    """React to the stop button, or to a manager (`actor`) who stops the machine remotely."""
    match machine.phase:
        case Phase.AWAIT_SUPERVISOR | Phase.AWAIT_JOURNAL:
            return (CancelStart(),)
        case Phase.ACTIVE | Phase.HANDING_OVER:
            return (EndByRules(EndReason.REMOTE if actor else EndReason.BUTTON, actor),)
        case Phase.FINISHING_JOB:
            assert machine.session is not None
            return job_done(machine, machine.session)
        case Phase.RUN_ON:
            return (Cut(),)
    return ()


def work_sensed(machine: Machine, *, on: bool) -> tuple[Intent, ...]:
    """React to the run-sense input: the machine started or stopped working."""
    if on is machine.working:
        return ()  # reported twice: a repetition must not restart the idle time
    count = CountWork(on)
    if machine.phase is Phase.FINISHING_JOB and not on:
        return count, EndJob()
    if machine.phase is Phase.RUN_ON and on and machine.rules.finish_wait:
        assert machine.session is not None
        return (count, ResumeJob()) if machine.now.boot_ms < machine.session.term.finish_until else (count,)
    return (count,)


def job_done(machine: Machine, session: Session) -> tuple[Intent, ...]:
    """React to a person who reports that the job is done. An input that reports jobs overrides the person."""
    if machine.run_sense:
        left_ms = max(0, session.term.finish_until - machine.now.boot_ms)
        return (session.signal(SignalKind.FINISHING, left_ms),)
    return (EndJob(),)


def grace(machine: Machine) -> tuple[Intent, ...]:
    """Start the grace time of a removed card, unless it runs already or the card no longer matters."""
    session = machine.session
    if session is None or session.term.grace_until is not None:
        return ()
    # while a job finishes, the card matters only if no input reports its end
    if machine.active or (machine.phase is Phase.FINISHING_JOB and not machine.run_sense):
        return (SetGrace(machine.now.boot_ms + machine.rules.grace_ms),)
    return ()


def grace_over(machine: Machine) -> tuple[Intent, ...]:
    """End the session, because its card was out of the holder for too long."""
    session = machine.session
    assert session is not None
    if machine.phase is Phase.FINISHING_JOB:
        return SetGrace(None), *job_done(machine, session)  # removing the card means that the job is done
    return SetGrace(None), EndByRules(EndReason.REMOVED)


def extension(machine: Machine, session: Session, *, always: bool = False) -> tuple[Intent, ...]:
    """Give a session that ends soon, or any with `always`, the time of a tap; nothing if a tap gives no time."""
    at_ms, rules, term = machine.now.boot_ms, machine.rules, session.term
    if not always and not term.ends_soon(at_ms, rules, idle=machine.idle):
        return ()
    longer = term.extended(at_ms, rules, idle=machine.idle)
    return () if longer is None else _give(machine, session, longer.limit_at, longer.idle_since)


def remote_extension_ms(machine: Machine, by_ms: int) -> int | None:
    """Return by how much a manager who gives `by_ms` would postpone the end; None if no session can be extended."""
    if not machine.active or machine.session is None:
        return None
    return machine.session.term.addition_ms(by_ms)


def remote_extension(machine: Machine, by_ms: int) -> tuple[Intent, ...]:
    """React to a manager who gives more time."""
    added_ms, session = remote_extension_ms(machine, by_ms), machine.session
    if session is None or not added_ms:
        return ()
    return _give(machine, session, session.term.limit_at + added_ms, session.term.idle_since)


def _give(machine: Machine, session: Session, limit_at: int, idle_since: int) -> tuple[Intent, ...]:
    return GiveTime(limit_at, idle_since), session.signal(SignalKind.EXTENDED, limit_at - machine.now.boot_ms)


def access_lost(machine: Machine) -> tuple[Intent, ...]:
    """End the session by the rules if its member may no longer use the machine (blocked, expired, window over)."""
    session = machine.session
    if session is None or not machine.active:
        return ()
    badge = session.supervisor_badge if session.sponsored else session.badge
    if machine.admits(machine.holder_of(badge, session.member)) and not machine.guest_barred(session):
        return ()
    return (EndByRules(EndReason.REVOKED),)

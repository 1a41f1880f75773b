"""Decides what happens during a session: the stop button, the run-sense input, more time, a removed card.

If a member is blocked, the session ends by the rules and without a notice: a running job is finished first, then the power goes
off. If their hours, membership or training end, it ends as with a lock "after the job": a machine that stands still keeps its
power until a deadline, too.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.intents import (
    AskAgain,
    CancelStart,
    CountWork,
    Cut,
    EndByRules,
    EndJob,
    GiveNotice,
    GiveTime,
    Intent,
    ResumeJob,
    SetGrace,
)
from fabgate.rules.machine import Machine, Phase, Session
from fabgate.rules.vocabulary import EndReason, Mode, SignalKind

#: For how long a second press of the stop button counts, or a second tap of a badge after it has left the reader.
SECOND_TAP_MS: Final = 10_000
#: For how long it is waited for a badge to leave the reader: one that stays longer is forgotten, or its reader hangs.
LYING_MS: Final = 2 * 60_000


def stop_pressed(machine: Machine, actor: str | None) -> tuple[Intent, ...]:
    """React to the stop button, or to a manager (`actor`) who stops the machine remotely."""
    match machine.phase:
        case Phase.AWAIT_SUPERVISOR | Phase.AWAIT_JOURNAL:
            return (CancelStart(),)
        case Phase.ACTIVE | Phase.HANDING_OVER:
            if actor:
                return (EndByRules(EndReason.REMOTE, actor),)
            return (EndByRules(EndReason.BUTTON), *ask_again(machine, ""))
        case Phase.FINISHING_JOB:
            assert machine.session is not None
            return job_done(machine, machine.session, None if actor else "")
        case Phase.RUN_ON:
            return (Cut(),)
    return ()


def stop_unreadable(machine: Machine) -> tuple[Intent, ...]:
    """React to a stop button that cannot be read: as if it were pressed, but a broken meter goes on counting as work."""
    if machine.active:
        return (EndByRules(EndReason.FAULT, assumes_job=False),)
    if machine.phase is Phase.FINISHING_JOB:
        assert machine.session is not None
        return job_done(machine, machine.session, None)
    return stop_pressed(machine, None)


def work_sensed(machine: Machine, part: str, *, on: bool, known: bool) -> tuple[Intent, ...]:
    """React to a part that reports that the machine started or stopped working: the run-sense input, or a meter.

    A job that begins in the run-on of the fan continues the session. A part that cannot be read proves no job: it must not
    give power back to a member who has ended the session and left.
    """
    at_work = machine.at_work | {part} if on else machine.at_work - {part}
    if at_work == machine.at_work:
        return ()  # reported twice
    count = CountWork(at_work, machine.broken)
    if machine.phase is Phase.FINISHING_JOB and not at_work:
        return count, EndJob()
    is_job = on and known and part not in machine.broken
    if machine.phase is Phase.RUN_ON and is_job and machine.rules.finishes_jobs:
        assert machine.session is not None
        return (count, ResumeJob()) if machine.now.boot_ms < machine.session.term.finish_until else (count,)
    return (count,)


def meter_changed(machine: Machine, meter: str, *, broken: bool) -> tuple[Intent, ...]:
    """React to a meter that cannot be read, or can be again. What it says of work is an event of its own."""
    now_broken = machine.broken | {meter} if broken else machine.broken - {meter}
    return () if now_broken == machine.broken else (CountWork(machine.at_work, now_broken),)


def job_done(machine: Machine, session: Session, by: str | None) -> tuple[Intent, ...]:
    """React to a person who reports that the job is done: by a badge, the stop button (""), or from elsewhere (None).

    An input that reports jobs overrides the person, unless a meter is broken: then a second tap is believed.
    """
    if not machine.run_sense or (by is not None and machine.is_guessing):
        return (EndJob(),)
    if by is not None and machine.broken and session.asked == by:
        return (EndJob(resumes=False),)
    left_ms = max(0, session.term.finish_until - machine.now.boot_ms)
    question = () if by is None else ask_again(machine, by)
    return question or (session.signal(SignalKind.FINISHING, left_ms),)


def ask_again(machine: Machine, by: str) -> tuple[Intent, ...]:
    """Ask the person who ends a session to do it again, if an input reports work while a meter is broken."""
    is_switched = machine.rules.mode is not Mode.AUDIT
    # a new roster says how jobs that begin end; a job that is being finished goes on
    finishes = machine.rules.finishes_jobs or machine.phase is Phase.FINISHING_JOB
    waits = is_switched and finishes and machine.working and not machine.is_guessing
    if not waits or not machine.broken:
        return ()
    assert machine.session is not None
    is_out = by == "" or (machine.holds(by) and not machine.session.present)
    return (AskAgain(by, _answer_until(machine, by) if is_out else machine.now.boot_ms + LYING_MS),)


def _answer_until(machine: Machine, by: str) -> int:
    """Return until when a second answer counts; a card that left its holder gives it only after the grace time."""
    grace_ms = machine.rules.grace_ms if machine.holds(by) else 0
    return machine.now.boot_ms + grace_ms + SECOND_TAP_MS


def badge_left(machine: Machine, badge: str) -> tuple[Intent, ...]:
    """React to a badge that left the reader: from now on it can answer whether to switch off."""
    session = machine.session
    if session is None or session.asked != badge:
        return ()
    return (AskAgain(badge, _answer_until(machine, badge)),)


def grace(machine: Machine, *, is_seen: bool = True) -> tuple[Intent, ...]:
    """Start the grace time of a removed card, unless it runs already or the card no longer matters.

    `is_seen` is False if the reader hangs, so that the card may still be there: this answers no question.
    """
    session = machine.session
    if session is None or session.term.grace_until is not None:
        return ()
    # while a job finishes, the card matters only if no input reports its end, or if a meter beside the input is broken
    matters = not machine.feels or (is_seen and machine.broken)
    if machine.active or (machine.phase is Phase.FINISHING_JOB and matters):
        return (SetGrace(machine.now.boot_ms + machine.rules.grace_ms),)
    return ()


def grace_over(machine: Machine) -> tuple[Intent, ...]:
    """End the session, because its card was out of the holder for too long."""
    session = machine.session
    assert session is not None
    is_seen = not session.present  # otherwise the reader hangs
    if machine.phase is Phase.FINISHING_JOB:
        # removing the card means that the job is done
        by = session.badge if is_seen or not machine.feels else None
        return SetGrace(None), *job_done(machine, session, by)
    return SetGrace(None), EndByRules(EndReason.REMOVED), *(ask_again(machine, session.badge) if is_seen else ())


def extension(machine: Machine, session: Session, *, always: bool = False) -> tuple[Intent, ...]:
    """Give a session that ends soon, or any with `always`, the time of a tap; nothing if a tap gives no time."""
    at_ms, rules, term = machine.now.boot_ms, machine.rules, session.term
    still = machine.stands_still
    if not always and not term.ends_soon(at_ms, rules, still=still):
        return ()
    longer = term.extended(at_ms, rules, still=still)
    return () if longer is None else _give(machine, session, longer.limit_at, longer.still_since)


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
    return _give(machine, session, session.term.limit_at + added_ms, session.term.still_since)


def _give(machine: Machine, session: Session, limit_at: int, still_since: int) -> tuple[Intent, ...]:
    right_ends = machine.right_ends
    ends_at = limit_at if right_ends is None else min(limit_at, right_ends[0])
    return GiveTime(limit_at, still_since), session.signal(SignalKind.EXTENDED, ends_at - machine.now.boot_ms)


def access_lost(machine: Machine) -> tuple[Intent, ...]:
    """End the session if its member may no longer use the machine: with a notice if a right ended, or else by the rules."""
    session = machine.session
    if session is None:
        return ()
    reasons = machine.objections(session)
    if machine.has_lapsed(session, reasons):
        return end_with_notice(machine, EndReason.REVOKED, reasons[0])
    return (EndByRules(EndReason.REVOKED),) if reasons and machine.active else ()


def end_with_notice(machine: Machine, reason: EndReason, why: str) -> tuple[Intent, ...]:
    """End the session by the rules; if an input reports that the machine stands still, only once a notice is over.

    The first notice counts. It is also given to a session that is ending, because a job could begin while the fan runs.
    """
    session = machine.session
    if session is None or session.term.deadline_at is not None:
        return ()
    ends = (EndByRules(reason),) if machine.active and not machine.stands_still else ()
    return (GiveNotice(reason, why), *ends) if machine.run_sense else ends

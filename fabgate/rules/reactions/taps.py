"""Decides what a tap means: a start, an end, more time, a supervisor's consent, a takeover, a flag, a refusal.

========================  ==============================================================================================
the flag asks             any known badge answers the question
free                      start, ask for a supervisor, or refuse; a maintainer clears an output fault
awaiting a supervisor     a supervisor consents; the member's own badge cancels; any other cancels and is refused
awaiting the journal,     a second tap of any badge cancels; with a supervisor's own start see the next row
handing over
a supervisor's own start  the badge of a member who needs a supervisor is refused, and neither cancels nor ends anything: the
or active session         supervisor ends theirs, then the member taps first; a supervisor's tap that came before is no consent
active                    the member's badge extends or ends the session, and only ends it after a notice; their supervisor's
                          ends it; another member's takes over where the rules allow that, and is refused otherwise
finishing a job           the member's or their supervisor's badge says that the job is done (twice, if an input reports work
                          while a meter is broken); any other is refused
running on                a member who may start now without a supervisor ends the run-on and starts; any other is refused
a reader with a fault     what the rows above say is done only if it ends, cancels, refuses or reports a defect; a start, more
                          time or a takeover is refused, and the session stays as it is
========================  ==============================================================================================

In hold mode a card that is put back is not a second tap. If there are several readers, only the one with the holder can
start a session then; while the member's card is in the holder, their badges end nothing on another reader.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.access import IN_USE, MEMBER_FIRST, NOT_IN_HOLDER, SUPERVISOR_NEEDED, blocked_by
from fabgate.rules.intents import (
    AcceptSupervisor,
    AnswerFlag,
    AskAgain,
    AskSupervisor,
    CancelStart,
    Cut,
    EndByRules,
    EndJob,
    HandOver,
    Intent,
    Refuse,
    SeeCard,
    Start,
    TapAgain,
    TimeBadge,
)
from fabgate.rules.machine import Machine, Phase, Session
from fabgate.rules.reactions.in_session import ask_again, extension, grace, job_done
from fabgate.rules.vocabulary import (
    LAST,
    Barred,
    Cause,
    ClearFault,
    EndReason,
    Holder,
    Level,
    Member,
    Mode,
    Signal,
    SignalKind,
)

#: What a tap on a reader with a fault may do: end, cancel, report a defect, and be refused.
_ON_FAULTY_READER: Final = (
    *(SeeCard, CancelStart, EndByRules, EndJob, AskAgain, TimeBadge),
    *(AnswerFlag, Refuse, Signal),
)


def presented(machine: Machine, badge: str, guest: str | None, *, flag_asks: bool) -> tuple[Intent, ...]:
    """React to a tap on the reader ``machine.place``.

    `guest` is the unknown badge that was tapped just before, if a supervisor may still sponsor it; `flag_asks` is
    whether the flag button was pressed and a badge has to confirm it.
    """
    answer = _by_phase(machine, badge, guest, flag_asks=flag_asks)
    return _on_faulty_reader(machine, badge, answer) if machine.place.has_fault else answer


def _by_phase(machine: Machine, badge: str, guest: str | None, *, flag_asks: bool) -> tuple[Intent, ...]:
    holder = machine.look_up(badge)
    if flag_asks and holder is not None and holder.id is not None:
        # on a reader with a fault a badge can report a defect, but it proves no rank, and withdraws none
        rank = Level.USER if machine.place.has_fault else machine.rank_of(holder)
        answer = AnswerFlag(badge, holder.id, rank, _language(holder))
        # this tap is also a second tap, so it cancels a waiting start
        cancels = () if machine.comes_after_supervisor(badge, holder) else (CancelStart(),)
        return *_back(machine, badge), *cancels, answer
    match machine.phase:
        case Phase.FREE:
            return _on_free_machine(machine, badge, holder, guest)
        case Phase.AWAIT_SUPERVISOR:
            return _while_supervisor_is_awaited(machine, badge, holder)
        case Phase.AWAIT_JOURNAL | Phase.HANDING_OVER:
            return _while_journal_is_awaited(machine, badge, holder)
        case Phase.RUN_ON:
            return _while_fan_runs(machine, badge, holder, guest)
    return _in_use(machine, badge, holder)


def removed(machine: Machine, badge: str) -> tuple[Intent, ...]:
    """React to a card that left the reader. It matters only in hold mode, on the reader with the holder."""
    if machine.rules.mode is not Mode.HOLD or machine.beside_holder:
        return ()
    gone = SeeCard(badge, present=False)
    pending, session = machine.pending, machine.session
    if pending is not None and pending.session.badge == badge:
        # While a supervisor's card is awaited, the member's own card has to leave the reader; the grace time then
        # begins with the session. Once the start is being written, a removed card means that its member has left.
        return (gone,) if pending.token is None else (gone, CancelStart())
    if session is not None and session.badge == badge:
        return gone, *grace(machine)
    return ()


def _on_faulty_reader(machine: Machine, badge: str, answer: tuple[Intent, ...]) -> tuple[Intent, ...]:
    """Return the answer to a tap on a reader with a fault: what would start, lengthen or clear something is refused."""
    if all(isinstance(intent, _ON_FAULTY_READER) for intent in answer):
        return answer
    seen = tuple(intent for intent in answer if isinstance(intent, SeeCard))
    return *seen, _refuse(badge, machine.look_up(badge), (blocked_by(Cause.READER),), for_its_reader=True)


# --- in each phase ----------------------------------------------------------------------------------------------------


def _on_free_machine(machine: Machine, badge: str, holder: Holder | None, guest: str | None) -> tuple[Intent, ...]:
    if Cause.OUTPUT in machine.causes and holder is not None and machine.rank_of(holder) is Level.MAINTAINER:
        return (ClearFault(holder.id or "", _language(holder)),)
    decision = machine.decide(holder)
    if holder is None or decision.basis is None:
        return (_refuse(badge, holder, decision.reasons),)
    if guest is not None and machine.look_up(guest) is None and machine.may_sponsor(holder):
        start = Start(guest, holder, decision.basis._replace(kind="sponsor"), sponsor_badge=badge)
        is_held = machine.beside_holder and guest == machine.place.held
        return (start, SeeCard(guest, present=True)) if is_held else (start,)
    if machine.beside_holder:
        return (_refuse_beside_holder(badge, holder),)
    if not decision.needs_supervisor:
        return (Start(badge, holder, decision.basis),)
    if not machine.second_card_allowed:
        return (_refuse(badge, holder, (SUPERVISOR_NEEDED,)),)
    return (AskSupervisor(badge, holder, decision.basis),)


def _while_supervisor_is_awaited(machine: Machine, badge: str, holder: Holder | None) -> tuple[Intent, ...]:
    assert machine.pending is not None
    if machine.pending.session.is_of(badge, holder):
        return (CancelStart(),)
    if holder is not None and machine.may_supervise(holder):
        return (AcceptSupervisor(holder.id, badge),)
    reasons = machine.decide(holder).reasons
    # without reasons of their own: an emergency badge, or a person whom a gate refuses that is not observing
    rank_too_low = isinstance(holder, Member) and not holder.rank.supervises
    if rank_too_low or not reasons:
        reasons = (*reasons, SUPERVISOR_NEEDED)
    return CancelStart(), _refuse(badge, holder, reasons)


def _while_journal_is_awaited(machine: Machine, badge: str, holder: Holder | None) -> tuple[Intent, ...]:
    assert machine.pending is not None
    session, back = machine.pending.session, _back(machine, badge)
    if back and machine.rules.mode is Mode.HOLD and badge == session.badge and not session.present:
        return back  # the member's card returns to its holder after the supervisor's: not a second tap
    if machine.comes_after_supervisor(badge, holder):
        return (_refuse_in_use(machine, badge, holder),)
    return *back, CancelStart()


def _while_fan_runs(machine: Machine, badge: str, holder: Holder | None, guest: str | None) -> tuple[Intent, ...]:
    decision = machine.decide(holder)
    if decision.basis is not None and not decision.needs_supervisor:
        if machine.beside_holder:
            return (_refuse_beside_holder(badge, holder),)
        return Cut(), TapAgain(badge, guest)
    return (_refuse_in_use(machine, badge, holder),)


def _in_use(machine: Machine, badge: str, holder: Holder | None) -> tuple[Intent, ...]:
    session = machine.session
    assert session is not None
    if session.is_of(badge, holder):
        return _own_badge(machine, session, badge)
    if session.is_supervised_by(badge, holder):
        return _supervisors_badge(machine, session, badge)
    decision = machine.decide(holder)
    may_take_over = machine.rules.handover and machine.phase is Phase.ACTIVE and not decision.needs_supervisor
    if may_take_over and holder is not None and decision.basis is not None:
        if machine.beside_holder:
            return (_refuse_beside_holder(badge, holder),)
        return (HandOver(badge, holder, decision.basis),)
    return (_refuse_in_use(machine, badge, holder),)


def _own_badge(machine: Machine, session: Session, badge: str) -> tuple[Intent, ...]:
    beside = machine.beside_holder
    if beside and session.present:  # a fob with two chips in the holder may be read by the other reader, too
        return () if machine.phase is Phase.FINISHING_JOB else extension(machine, session)
    # another badge of the member is never in the holder
    mode = machine.rules.mode if badge == session.badge and not beside else None
    if mode is Mode.HOLD:
        back = SeeCard(badge, present=True)
        # in hold mode only removing the card reports that a job is done
        return (back,) if machine.phase is Phase.FINISHING_JOB else (back, *extension(machine, session))
    if machine.phase is Phase.FINISHING_JOB:
        return job_done(machine, session, badge)
    if mode is Mode.TIMED and session.term.deadline_at is None:
        left_ms = session.term.limit_at - machine.now.boot_ms
        last = session.signal(SignalKind.WARNING, left_ms, detail=LAST)
        return extension(machine, session, always=True) or (last,)
    return extension(machine, session) or _end_by_badge(machine, badge, None)


def _supervisors_badge(machine: Machine, session: Session, badge: str) -> tuple[Intent, ...]:
    """React to the supervisor who opened the session for another member: it ends. Only the member can extend it."""
    if machine.phase is Phase.FINISHING_JOB:
        return job_done(machine, session, badge)
    return _end_by_badge(machine, badge, session.supervisor)


def _end_by_badge(machine: Machine, badge: str, supervisor: str | None) -> tuple[Intent, ...]:
    ends = EndByRules(EndReason.BADGE, actor=supervisor)
    question = ask_again(machine, badge)
    # a badge that stays would ask for a report of a defect, and the second tap would answer that
    return (ends, *question) if question else (TimeBadge(badge), ends)


def _back(machine: Machine, badge: str) -> tuple[SeeCard, ...]:
    """Return that a card is in the holder, where it is."""
    return () if machine.beside_holder else (SeeCard(badge, present=True),)


# --- refusals ---------------------------------------------------------------------------------------------------------


def _refuse_in_use(machine: Machine, badge: str, holder: Holder | None) -> Refuse:
    # What keeps a person from this machine at any time comes before what does so only now.
    member_first = machine.second_card_allowed and machine.comes_after_supervisor(badge, holder)
    return _refuse(badge, holder, (*machine.decide(holder).reasons, MEMBER_FIRST if member_first else IN_USE))


def _refuse_beside_holder(badge: str, holder: Holder | None) -> Refuse:
    return _refuse(badge, holder, (NOT_IN_HOLDER,), for_its_reader=True)


def _refuse(badge: str, holder: Holder | None, reasons: tuple[str, ...], *, for_its_reader: bool = False) -> Refuse:
    member = None if holder is None else holder.id
    return Refuse(badge, reasons, member, _language(holder), holder is None, for_its_reader)


def _language(holder: Holder | None) -> str | None:
    return holder.lang if isinstance(holder, Member | Barred) else None

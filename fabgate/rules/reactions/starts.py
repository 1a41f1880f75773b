"""Decides whether a waiting session may still begin.

That is decided again when a supervisor consents, with each new roster, and once the start is on disk: even after a slow
write no machine is powered for a person who may no longer use it.
"""

from __future__ import annotations

from fabgate.rules.access import IN_USE, SUPERVISOR_NEEDED, Decision
from fabgate.rules.intents import CancelStart, Intent, Refuse
from fabgate.rules.machine import Machine, Pending, Phase, Session
from fabgate.rules.vocabulary import EndReason, Holder, Signal, SignalKind


def decide_again(machine: Machine, pending: Pending) -> Session | tuple[Intent, ...]:
    """Return the session if it may begin now, otherwise the intents that cancel or refuse it."""
    session = pending.session
    supervisor = machine.holder_of(session.supervisor_badge, session.supervisor)
    responsible = supervisor if session.sponsored else machine.holder_of(session.badge, session.member)
    decision = machine.decide(responsible)
    objections = _objections(machine, session, supervisor, decision)
    if objections is not None:
        return CancelStart(), _refuse(machine, session, objections)
    assert decision.basis is not None
    basis = decision.basis._replace(kind="sponsor") if session.sponsored else decision.basis
    term = machine.term_for(responsible)
    if machine.phase is Phase.AWAIT_SUPERVISOR:  # nothing is recorded yet
        return session._replace(basis=basis, term=term)
    if basis != session.basis:
        # The record names another basis than the one on which they might use the machine now, so they must tap again.
        return CancelStart(), Signal(SignalKind.REFUSED, lang=session.lang, reasons=(EndReason.START_TIMEOUT,))
    return session._replace(term=session.term.at_most(term))


def too_late(machine: Machine, pending: Pending) -> tuple[Intent, ...]:
    """Cancel a session that waited too long, for the journal or for a supervisor."""
    if machine.phase is not Phase.AWAIT_SUPERVISOR:
        return (CancelStart(EndReason.START_TIMEOUT),)
    answer = decide_again(machine, pending)
    if not isinstance(answer, Session):
        return answer
    return CancelStart(), _refuse(machine, pending.session, (SUPERVISOR_NEEDED,))


def _refuse(machine: Machine, session: Session, reasons: tuple[str, ...]) -> Refuse:
    """Refuse the waiting session. Its badge was not tapped just now, so no supervisor can sponsor it."""
    holder = machine.holder_of(session.badge, session.member)
    return Refuse(session.badge, reasons, None if holder is None else holder.id, session.lang)


def _objections(
    machine: Machine, session: Session, supervisor: Holder | None, decision: Decision
) -> tuple[str, ...] | None:
    """Return every reason why the session may not begin, or None; `decision` is about the responsible person."""
    if machine.phase is Phase.HANDING_OVER and not machine.rules.handover:
        return (IN_USE,)
    if machine.guest_barred(session):
        return machine.decide(machine.look_up(session.badge)).reasons
    if decision.basis is None:
        return (SUPERVISOR_NEEDED,) if session.sponsored else decision.reasons
    still_asking = machine.phase is Phase.AWAIT_SUPERVISOR
    if session.sponsored:
        consents = machine.may_sponsor(supervisor)
    else:
        consents = still_asking or not decision.needs_supervisor or machine.may_supervise(supervisor)
    card_is_out = still_asking or not session.present
    if not consents or (card_is_out and not machine.second_card_allowed):
        return (SUPERVISOR_NEEDED,)
    return None

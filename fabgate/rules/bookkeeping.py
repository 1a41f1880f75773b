"""Updates what is known of the machine where no power is at stake: cards, work, time, causes, rules."""

from __future__ import annotations

from dataclasses import replace

from fabgate.rules.intents import (
    AddCause,
    AdoptRules,
    AskAgain,
    Bookkeeping,
    CountEnergy,
    CountWork,
    GiveNotice,
    GiveTime,
    RemoveCause,
    SeeCard,
    SetGrace,
)
from fabgate.rules.machine import Machine, Phase, Session


def learn(machine: Machine, intent: Bookkeeping) -> Machine:
    """Return the machine as `intent` changes it."""
    match intent:
        case GiveTime(limit_at, still_since):
            assert machine.session is not None
            term = machine.session.term._replace(limit_at=limit_at, still_since=still_since)
            return machine._replace(session=machine.session._replace(term=term))
        case GiveNotice(reason, why):
            assert machine.session is not None
            term = machine.session.term.with_notice(machine.now.boot_ms, machine.rules, works=machine.working)
            session = machine.session._replace(term=term, notice_reason=reason, notice_why=why)
            return machine._replace(session=session)
        case AskAgain(badge, until_ms):
            assert machine.session is not None
            return machine._replace(session=machine.session._replace(asked=badge, asked_until=until_ms))
        case SeeCard(card, present):
            return _see_card(machine, card, present=present)
        case SetGrace(grace_until):
            assert machine.session is not None
            return machine._replace(session=_with_grace(machine.session, grace_until))
        case CountWork(at_work, broken):
            return _count_work(machine, machine._replace(at_work=at_work, broken=broken))
        case CountEnergy(wh):
            return _count_energy(machine, wh)
        case AddCause(cause, detail):
            return machine._replace(causes={**machine.causes, cause: detail})
        case RemoveCause(cause):
            others = {other: detail for other, detail in machine.causes.items() if other != cause}
            return machine._replace(causes=others)
    return _adopt(machine, intent)


def _see_card(machine: Machine, badge: str, *, present: bool) -> Machine:
    pending, session = machine.pending, machine.session
    if pending is not None and pending.session.badge == badge:
        pending = pending._replace(session=pending.session._replace(present=present))
    if session is not None and session.badge == badge:
        session = (_with_grace(session, None) if present else session)._replace(present=present)
    return machine._replace(pending=pending, session=session)


def _with_grace(session: Session, until_ms: int | None) -> Session:
    return session._replace(term=session.term._replace(grace_until=until_ms))


def _count_work(before: Machine, machine: Machine) -> Machine:
    """Count what `machine` reports now."""
    pending, session = machine.pending, machine.session
    if pending is not None:
        pending = pending._replace(session=pending.session._replace(meter=machine.count_work(pending.session.meter)))
    if session is not None:
        term = session.term if machine.working else session.term._replace(spares_job=False)
        if before.working and not machine.working:
            term = term.still_from(machine.now.boot_ms)
        # the fan's run-on is not work
        meter = session.meter if machine.phase is Phase.RUN_ON else machine.count_work(session.meter)
        session = session._replace(meter=meter, term=term)
    return machine._replace(pending=pending, session=session)


def _count_energy(machine: Machine, wh: int | None) -> Machine:
    pending, session = machine.pending, machine.session
    if pending is not None:
        pending = pending._replace(session=pending.session._replace(meter=pending.session.meter.count_energy(wh)))
    if session is not None:
        session = session._replace(meter=session.meter.count_energy(wh))
    return machine._replace(counted_wh=wh, pending=pending, session=session)


def _adopt(machine: Machine, roster: AdoptRules) -> Machine:
    rules, session = roster.rules, machine.session
    if session is not None and rules.idle_off_ms != machine.rules.idle_off_ms:
        # the new idle time counts from now, so that no member loses power without a warning
        session = session._replace(term=session.term.still_from(machine.now.boot_ms))
    if machine.phase is not Phase.FREE:
        # A session keeps its mode. Otherwise power would stay on after a change to audit mode, which switches nothing,
        # and after a change to hold mode a tapped card would be missing in its holder. The new mode applies once the
        # machine is free.
        rules = replace(rules, mode=machine.rules.mode)
    return machine._replace(rules=rules, next_mode=roster.rules.mode, stale=roster.stale, session=session)

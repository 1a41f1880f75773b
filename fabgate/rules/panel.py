"""Computes what the panel shows from the state alone, so that no order of events can leave a wrong light.

===============  ===================================================================================================
free             nothing (`FREE`), or the worst of the causes that forbid use (`BLOCKED`)
starting         `SUPERVISOR` while one is awaited, `WAIT` while the disk is
active           `GO`; `WARNING` once the session ends soon, counting down to its limit, to closing time or to the deadline
                 that follows; `GRACE` while the card is out of its holder
handing over     `WAIT`, for the newcomer; if they do not begin, the first session is shown again
finishing        `FINISHING` while a job runs, or may run; `WARNING` if a deadline will cut it; `GRACE` as above; `RUN_ON`
                 while the fan runs
===============  ===================================================================================================

While the next badge would raise or clear a flag, that question (`FLAG_ASK`) is shown instead; its reason is the cause that
it hides, if any. A ``Signal`` reports what
has just happened (a refusal, a card that was not read, minutes used); it is shown for some seconds, then the state
again.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.machine import Machine, Phase, Session
from fabgate.rules.term import notice_ms
from fabgate.rules.vocabulary import (
    ASKS_AGAIN,
    CLOSING,
    DEADLINE,
    LAST,
    MEMBER_FIRST,
    UNFELT,
    Cause,
    FlagKind,
    Shown,
    SignalKind,
)

DARK: Final = Shown(SignalKind.FREE)


def shown(machine: Machine, *, flag_asked: FlagKind | None) -> Shown:
    """Return what the panel shows; `flag_asked` is the flag that the member is asked to confirm, if any."""
    phase, pending, session = machine.phase, machine.pending, machine.session
    worst = tuple(cause for cause in Cause if phase is Phase.FREE and cause in machine.causes)[:1]
    if flag_asked is not None:
        return Shown(SignalKind.FLAG_ASK, reasons=worst, detail=flag_asked)
    if phase is Phase.FREE:
        return Shown(SignalKind.BLOCKED, reasons=worst, detail=machine.causes[worst[0]]) if worst else DARK
    if pending is not None:
        kind = SignalKind.SUPERVISOR if phase is Phase.AWAIT_SUPERVISOR else SignalKind.WAIT
        return _of(pending.session, kind, pending.until_ms)
    assert session is not None
    return _of_session(machine, session)


def _of_session(machine: Machine, session: Session) -> Shown:
    term, rules, at_ms, still = session.term, machine.rules, machine.now.boot_ms, machine.stands_still
    finishing = machine.phase is Phase.FINISHING_JOB
    if machine.phase is Phase.RUN_ON:
        until_ms = term.run_on_until if term.cut_at is None or still else min(term.run_on_until, term.cut_at)
        return _of(session, SignalKind.RUN_ON, until_ms)
    ends_at = term.ends_at(rules, still=still)
    if finishing:
        ends_at = term.finish_until if term.cut_at is None else min(term.finish_until, term.cut_at)
    # An input reports the job, which continues without the card: the session ends when the job does.
    if term.grace_until is not None and not (finishing and machine.feels):
        return _of(session, SignalKind.GRACE, min(term.grace_until, ends_at))
    if term.cut_at is not None:
        return _of(session, SignalKind.WARNING, ends_at, DEADLINE, (session.notice_why,))
    if finishing:
        asks = ASKS_AGAIN if machine.broken and session.asked is not None else ""
        return _of(session, SignalKind.FINISHING, ends_at, asks if machine.feels else UNFELT)
    soon = term.ends_soon(at_ms, rules, still=still)
    if soon and term.extended(at_ms, rules, still=still) is not None:
        return _of(session, SignalKind.WARNING, ends_at)
    right_ends = machine.right_ends
    if right_ends is not None and right_ends[0] <= ends_at and at_ms >= right_ends[0] - notice_ms(rules):
        return _of(session, SignalKind.WARNING, right_ends[0], CLOSING, (right_ends[1],))
    if soon:
        return _of(session, SignalKind.WARNING, ends_at, LAST)
    until_ms = term.limit_at if right_ends is None else min(term.limit_at, right_ends[0])
    return _of(session, SignalKind.GO, until_ms, MEMBER_FIRST if machine.member_comes_first else "")


def _of(session: Session, kind: SignalKind, until_ms: int, detail: str = "", reasons: tuple[str, ...] = ()) -> Shown:
    return Shown(kind, session.name, session.lang, reasons, until_ms, detail)

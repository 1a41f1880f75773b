"""Computes what the panel shows from the state alone, so that no order of events can leave a wrong light.

===============  ===================================================================================================
idle             nothing (`IDLE`), or the worst of the causes that forbid use (`BLOCKED`)
starting         `SUPERVISOR` while one is awaited, `WAIT` while the disk is
active           `GO`; `WARNING` once the session ends soon; `GRACE` while the card is out of its holder
handing over     `WAIT`, for the newcomer; if they do not begin, the first session is shown again
finishing        `FINISHING` while a job runs, or may run; `GRACE` as above; `RUN_ON` while the fan does
===============  ===================================================================================================

While the next badge would raise or clear a flag, that question (`FLAG_ASK`) is shown instead. A ``Signal`` reports what
has just happened (a refusal, a card that was not read, minutes used); it is shown for some seconds, then the state
again.
"""

from __future__ import annotations

from typing import Final

from fabgate.rules.machine import Machine, Phase, Session
from fabgate.rules.vocabulary import LAST, UNFELT, Cause, FlagKind, Shown, SignalKind

DARK: Final = Shown(SignalKind.IDLE)


def shown(machine: Machine, *, flag_asked: FlagKind | None) -> Shown:
    """Return what the panel shows; `flag_asked` is the flag that the member is asked to confirm, if any."""
    phase, pending, session, rules = machine.phase, machine.pending, machine.session, machine.rules
    if flag_asked is not None:
        return Shown(SignalKind.FLAG_ASK, detail=flag_asked)
    if phase is Phase.IDLE:
        for cause in Cause:
            if cause in machine.causes:
                return Shown(SignalKind.BLOCKED, reasons=(cause,), detail=machine.causes[cause])
        return DARK
    if pending is not None:
        kind = SignalKind.SUPERVISOR if phase is Phase.AWAIT_SUPERVISOR else SignalKind.WAIT
        return _of(pending.session, kind, pending.until_ms)
    assert session is not None
    term, at_ms, idle = session.term, machine.now.boot_ms, machine.idle
    if phase is Phase.RUN_ON:
        return _of(session, SignalKind.RUN_ON, term.run_on_until)
    finishing = phase is Phase.FINISHING_JOB
    ends_at = term.finish_until if finishing else term.ends_at(rules, idle=idle)
    # An input reports the job, which continues without the card: the session ends when the job does.
    if term.grace_until is not None and not (finishing and machine.run_sense):
        return _of(session, SignalKind.GRACE, min(term.grace_until, ends_at))
    if finishing:
        return _of(session, SignalKind.FINISHING, ends_at, "" if machine.run_sense else UNFELT)
    if term.ends_soon(at_ms, rules, idle=idle):
        last = term.extended(at_ms, rules, idle=idle) is None
        return _of(session, SignalKind.WARNING, ends_at, LAST if last else "")
    return _of(session, SignalKind.GO, term.limit_at)


def _of(session: Session, kind: SignalKind, until_ms: int, detail: str = "") -> Shown:
    return Shown(kind, session.name, session.lang, (), until_ms, detail)

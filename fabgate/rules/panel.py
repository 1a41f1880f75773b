"""What does the panel show in each state? A function of the state alone, so that no order of events leaves a wrong light.

===============  ===================================================================================================
idle             nothing (`IDLE`), or the worst of the causes that forbid use (`BLOCKED`)
starting         `SUPERVISOR` while one is awaited, `WAIT` while the disk is
active           `GO`; `WARNING` once the session is soon over; `GRACE` while the card is out of its holder
handing over     `WAIT`, for the newcomer; the first session's own words come back where it goes on
finishing        `FINISHING` while a job runs, or may run; `GRACE` as above; `RUN_ON` while the fan does
===============  ===================================================================================================

While the next badge would raise or clear a flag, that question (`FLAG_ASK`) is shown before all of it: it says what a
tap means. What has just happened (a refusal, a card that was not read, minutes used) is a ``Signal``; it is shown for
some seconds, and then this again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fabgate.rules.owner import Pending, Phase, Session
from fabgate.rules.vocabulary import LAST, UNFELT, Cause, FlagKind, MachineRules, Shown, SignalKind

DARK: Final = Shown(SignalKind.IDLE)


def shown(
    phase: Phase,
    session: Session | None,
    pending: Pending | None,
    causes: Mapping[Cause, str],
    *,
    asked: FlagKind | None,
    rules: MachineRules,
    still: bool,
    felt: bool,
    at_ms: int,
) -> Shown:
    """Return what the panel shows.

    `causes` are what forbids use, the worst first, each with its words; `asked` is the flag of an open question; `still`
    and `felt` say that the machine is known to stand still, and whether an input says so; `at_ms` is the boot time.
    """
    if asked is not None:
        return Shown(SignalKind.FLAG_ASK, detail=asked)
    if phase is Phase.IDLE:
        for cause, detail in causes.items():
            return Shown(SignalKind.BLOCKED, reasons=(cause,), detail=detail)
        return DARK
    if pending is not None:
        kind = SignalKind.SUPERVISOR if phase is Phase.AWAIT_SUPERVISOR else SignalKind.WAIT
        return _of(pending.session, kind, pending.until_ms)
    assert session is not None
    term = session.term
    if phase is Phase.RUN_ON:
        return _of(session, SignalKind.RUN_ON, term.run_on_until)
    ends_at = term.finish_until if phase is Phase.FINISHING_JOB else term.ends_at(rules, still=still)
    # A job that an input feels goes on without the card: what stops it is its end.
    if term.grace_until is not None and not (phase is Phase.FINISHING_JOB and felt):
        return _of(session, SignalKind.GRACE, min(term.grace_until, ends_at))
    if phase is Phase.FINISHING_JOB:
        return _of(session, SignalKind.FINISHING, ends_at, "" if felt else UNFELT)
    if term.soon_over(at_ms, rules, still=still):
        last = term.extended(at_ms, rules, still=still) is None
        return _of(session, SignalKind.WARNING, ends_at, LAST if last else "")
    return _of(session, SignalKind.GO, term.limit_at)


def _of(session: Session, kind: SignalKind, until_ms: int, detail: str = "") -> Shown:
    return Shown(kind, session.name, session.lang, (), until_ms, detail)

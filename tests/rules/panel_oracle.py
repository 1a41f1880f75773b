"""What the panel must show, from what happens in the workshop and not from the code of ``panel``.

It knows the events, the rules of the machine and the clock, and whether the card of the session is in its holder. From
the gate itself it takes the phase, the term of the session, and whether a question of the flag button is open.
"""

from __future__ import annotations

from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate
from fabgate.rules.machine import Phase

KIND = vocabulary.SignalKind
LIGHT = {
    KIND.FREE: "off",
    KIND.BLOCKED: "amber",
    KIND.SUPERVISOR: "amber blink",
    KIND.FLAG_ASK: "amber blink",
    KIND.WAIT: "green blink",
    KIND.WARNING: "green blink",
    KIND.GRACE: "green blink",
    KIND.FINISHING: "green blink",
    KIND.RUN_ON: "green blink",
    KIND.GO: "green",
}


def soon_over(gate: Gate, now_ms: int, *, works: bool, run_sense: bool) -> bool:
    """Whether the session ends so soon that a warning is due: within the warning time, and in its last quarter."""
    rules, session = gate.rules, gate.session
    assert session is not None
    term = session.term
    if term.deadline_at is not None:
        return True
    limit_warns = term.limit_at - min(rules.warn_ms, term.limit_ms // 4)
    if now_ms >= limit_warns:
        return True
    if rules.idle_off_ms is None or not run_sense or works:
        return False
    idle_ends = term.still_since + rules.idle_off_ms
    return now_ms >= idle_ends - min(rules.warn_ms, rules.idle_off_ms // 4)


def must_show(
    gate: Gate, now_ms: int, *, causes: set[vocabulary.Cause], works: bool, run_sense: bool, card_out: bool
) -> vocabulary.SignalKind:
    """Return the kind that must be shown; `causes` are those that happened, `card_out`: the holder is empty."""
    if gate._flags.asking:
        return KIND.FLAG_ASK
    match gate.phase:
        case Phase.FREE:
            return KIND.BLOCKED if causes else KIND.FREE
        case Phase.AWAIT_SUPERVISOR:
            return KIND.SUPERVISOR
        case Phase.AWAIT_JOURNAL | Phase.HANDING_OVER:
            return KIND.WAIT
        case Phase.RUN_ON:
            return KIND.RUN_ON
        case Phase.FINISHING_JOB if gate.session is not None and gate.session.term.cut_at is not None:
            return KIND.WARNING
        case Phase.FINISHING_JOB:
            return KIND.GRACE if card_out and not run_sense else KIND.FINISHING
    if card_out:
        return KIND.GRACE
    return KIND.WARNING if soon_over(gate, now_ms, works=works, run_sense=run_sense) else KIND.GO

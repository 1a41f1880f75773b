"""WHO may use the machine, and every reason why not.

One function, ``decide``. It never stops at the first reason: a member who fixes one thing must not discover the next
by tapping again. Reasons are ordered worst first; the first is shown, all are recorded.

A roster is for one machine. Its author (a collector, or a members file) has decided what depends on the person alone, and
this module decides the rest at each tap. So trainings, blocks and lost badges appear here only as reasons of ``Barred``:

====================  ==========================================================================================
training              a person without one for this machine is ``Barred`` ("training-missing"). Who may only use it under
                      supervision is ``Member.supervised``; ``Member.level`` says who supervises and who maintains
block, lost badge,    the person, or the badge alone, is ``Barred`` with the reason: "suspended", "badge-lost", "no-credit"
no credit
expiry                the first of the membership, the training and the loan to end is ``Member.valid_until``; what ends
                      is ``until_reason``. Compared with the gate's clock here (``_is_over``)
hours                 ``windows``, compared with the gate's clock here (``_within``)
lock, old roster,     they concern the machine and not the person: ``vocabulary.causes``, added here (``_blocks``)
danger, faults
====================  ==========================================================================================

Exceptions:

===============  ==========================================================================================
emergency badge  admitted without any roster, and by a stale one; under no other cause
maintainer       admitted despite a flag (they come to repair the machine); under no other cause
observe_until    everyone whom the roster knows is admitted until then, with power; the reasons that would have refused
                 them are recorded. Not while the gate has never known the time
===============  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import MAXYEAR, datetime, timedelta
from typing import Final, NamedTuple

from fabgate.rules.vocabulary import (
    Basis,
    Cause,
    Emergency,
    Holder,
    Level,
    MachineRules,
    Member,
    Now,
    Supervision,
    Window,
)

UNKNOWN_BADGE = "unknown-badge"
EXPIRED = "expired"
OUTSIDE_HOURS = "outside-hours"
CLOCK_UNKNOWN = "clock-unknown"
SUPERVISOR_NEEDED = "supervisor-needed"
IN_USE = "in-use"
NOT_IN_HOLDER = "not-in-holder"
#: A supervisor uses the machine for themselves. They end that; then the member taps first, and the supervisor consents.
MEMBER_FIRST = "member-first"
#: A right that ended in the ordinary way, or a training that the person no longer has. A session gets a notice then (``term``);
#: every other reason ends it without one.
LAPSES: Final = frozenset({EXPIRED, OUTSIDE_HOURS, "training-expired", "training-missing"})
#: An end of hours or membership that is further away is found at a later look.
_AHEAD: Final = timedelta(days=2)


class Decision(NamedTuple):
    """The answer to one badge: `basis` if it is admitted; otherwise None, and every reason, the worst first."""

    basis: Basis | None
    reasons: tuple[str, ...] = ()
    needs_supervisor: bool = False


def blocked_by(cause: Cause) -> str:
    """Return the refusal reason for a cause."""
    return f"blocked-{cause}"


def decide(
    holder: Holder | None,
    *,
    rules: MachineRules,
    causes: AbstractSet[Cause],
    stale: bool,
    now: Now,
) -> Decision:
    """Decide whether the holder of a badge (None: an unknown badge) may start a session now.

    Their training and blocks are in `holder` already (see above).
    """
    blocks = _blocks(holder, causes) if causes else ()
    own = _own_reasons(holder, rules, now)
    if blocks:
        return Decision(None, blocks + own)
    if isinstance(holder, Emergency):
        return Decision(Basis("emergency", stale_roster=stale))
    alone = not (isinstance(holder, Member) and _needs_supervisor(holder, rules))
    if _observed(holder, rules, now) and (own or not alone):  # admitted alone; the record says what would be refused
        would_refuse = own if alone else (*own, SUPERVISOR_NEEDED)
        return Decision(Basis("observe", stale_roster=stale, would_refuse=would_refuse))
    if own or not isinstance(holder, Member):
        return Decision(None, own)
    # under a danger flag only a maintainer gets this far (see ``_exempt``)
    kind = "maintainer" if Cause.FLAG in causes else "grant"
    return Decision(Basis(kind, grant=holder.grant, stale_roster=stale), needs_supervisor=not alone)


def _blocks(holder: Holder | None, causes: AbstractSet[Cause]) -> tuple[str, ...]:
    return tuple(blocked_by(cause) for cause in Cause if cause in causes and not _exempt(holder, cause))


def _exempt(holder: Holder | None, cause: Cause) -> bool:
    if cause is Cause.STALE:
        return isinstance(holder, Emergency)
    return cause is Cause.FLAG and isinstance(holder, Member) and holder.rank is Level.MAINTAINER


def _own_reasons(holder: Holder | None, rules: MachineRules, now: Now) -> tuple[str, ...]:
    if holder is None:
        return (UNKNOWN_BADGE,)
    if isinstance(holder, Emergency):
        return ()
    reasons = [] if isinstance(holder, Member) else list(holder.reasons)
    if isinstance(holder, Member) and rules.refuses_when_stale and not now.synced:
        reasons.append(CLOCK_UNKNOWN)
    # Without any known time, dates and hours cannot be checked; `refuses_when_stale` refuses because of that risk.
    if now.local is not None:
        if isinstance(holder, Member) and _is_over(holder, now.local):
            reasons.append(holder.until_reason)
        if holder.windows and not any(_within(window, now.local) for window in holder.windows):
            reasons.append(OUTSIDE_HOURS)
    return tuple(reasons)


def _is_over(member: Member, local: datetime) -> bool:
    # Counted in days since year 1: "forever" is often written 9999-12-31, the last date that Python has.
    return member.valid_until is not None and local.toordinal() > member.valid_until.toordinal() + member.grace_days


def _within(window: Window, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    today = local.isoweekday()
    yesterday = today - 1 or 7
    if window.from_min < window.to_min:
        return today in window.days and window.from_min <= minute < window.to_min
    # Past midnight the weekday is the one on which the window opened.
    return (today in window.days and minute >= window.from_min) or (yesterday in window.days and minute < window.to_min)


def _observed(holder: Holder | None, rules: MachineRules, now: Now) -> bool:
    until, local = rules.observe_until, now.local
    if holder is None or holder.id is None or until is None or local is None:
        return False
    # A time without a zone is in the site's zone. Comparing it with one that has a zone would raise TypeError at every
    # tap.
    return local < (until if until.tzinfo is not None else until.replace(tzinfo=local.tzinfo))


def _needs_supervisor(member: Member, rules: MachineRules) -> bool:
    return member.supervised or (rules.supervision is Supervision.ALWAYS and not member.rank.supervises)


def may_supervise(holder: Holder | None, *, rules: MachineRules, causes: AbstractSet[Cause], now: Now) -> bool:
    """Return whether this badge can open a session for another member: a supervisor who may also use the machine."""
    return (
        isinstance(holder, Member)
        and holder.rank.supervises
        and decide(holder, rules=rules, causes=causes, stale=False, now=now).basis is not None
    )


def needs_supervisor(holder: Holder | None, *, rules: MachineRules, now: Now) -> bool:
    """Return whether this person can begin only with a supervisor, whatever else may be against them."""
    return isinstance(holder, Member) and _needs_supervisor(holder, rules) and not _observed(holder, rules, now)


# --- when a right ends --------------------------------------------------------------------------------------------------


def has_lapsed(holder: Holder | None, reasons: tuple[str, ...]) -> bool:
    """Return whether all these reasons are rights that ended; `holder` is the person whom they are against.

    What the roster has dated ahead for a member is such a right, whatever its reason.
    """
    dated = {holder.until_reason} if isinstance(holder, Member) else set()
    return bool(reasons) and LAPSES.union(dated).issuperset(reasons)


def times_end(holder: Member, rules: MachineRules, now: Now) -> tuple[int, str] | None:
    """Return in how many milliseconds a member's hours or dates end, and the reason from then on; 0 if they have ended.

    None if they end in more than two days or never, or if nothing is refused because the machine observes.
    """
    local = now.local
    if local is None or local.year == MAXYEAR or _observed(holder, rules, now):
        return None
    ends: list[tuple[int, str]] = []
    if holder.valid_until is not None:
        days = holder.valid_until.toordinal() + holder.grace_days + 1 - local.toordinal()
        if days <= _AHEAD.days:
            ends.append((_ms_until(local, _midnight(local) + timedelta(days=max(0, days))), holder.until_reason))
    if holder.windows:
        closing = _hours_end(holder.windows, local)
        if closing is not None:
            ends.append((_ms_until(local, closing), OUTSIDE_HOURS))
    return min(ends, default=None)


def _hours_end(windows: tuple[Window, ...], local: datetime) -> datetime | None:
    """Return when the last of the windows closes that follow one another from now; None if that is too far away."""
    at = local
    while at - local <= _AHEAD:
        closings = [_closes(window, at) for window in windows if _within(window, at)]
        if not closings:
            return at
        at = max(closings)
    return None


def _closes(window: Window, local: datetime) -> datetime:
    """Return when a window that is open closes."""
    is_tonight = window.to_min <= window.from_min <= local.hour * 60 + local.minute
    return _midnight(local) + timedelta(days=is_tonight, minutes=window.to_min)


def _midnight(local: datetime) -> datetime:
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _ms_until(local: datetime, later: datetime) -> int:
    """Return the time between two times of one zone, also over a change to summer time; 0 if `later` is not later.

    Otherwise it is a millisecond at least. Of an hour that comes twice, `later` is in the same one as `local`.
    """
    if later <= local:
        return 0
    later = later.replace(fold=local.fold)
    shift = (later.utcoffset() or timedelta()) - (local.utcoffset() or timedelta())
    return max(1, -(-(later - local - shift) // timedelta(milliseconds=1)))

"""Everything that is known of the machine: its phase, its session and the waiting one, its rules, and its causes.

All of it is frozen. The functions that decide (``reactions``) and ``panel`` read a ``Machine`` and cannot change it; ``power``
and ``bookkeeping`` replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, NamedTuple

from fabgate.rules.access import UNKNOWN_BADGE, Decision, decide, has_lapsed, may_supervise, needs_supervisor, times_end
from fabgate.rules.meter import Meter
from fabgate.rules.readers import Place
from fabgate.rules.term import Term
from fabgate.rules.vocabulary import (
    Barred,
    Basis,
    Cause,
    Ended,
    EndReason,
    Holder,
    Level,
    MachineRules,
    Member,
    Mode,
    Now,
    Signal,
    SignalKind,
    Started,
)


class Phase(StrEnum):
    """How far a session has come. ``STATE_OF`` folds the phases into the four states that others see."""

    FREE = "free"
    AWAIT_SUPERVISOR = "await-supervisor"
    AWAIT_JOURNAL = "await-journal"
    ACTIVE = "active"
    HANDING_OVER = "handing-over"
    FINISHING_JOB = "finishing-job"
    RUN_ON = "run-on"


STATE_OF: Final = {
    Phase.FREE: "idle",
    Phase.AWAIT_SUPERVISOR: "starting",
    Phase.AWAIT_JOURNAL: "starting",
    Phase.ACTIVE: "active",
    Phase.HANDING_OVER: "active",
    Phase.FINISHING_JOB: "finishing",
    Phase.RUN_ON: "finishing",
}


#: A member about whom nothing is known.
_ANY_MEMBER: Final = Member("")


class Session(NamedTuple):
    """One use of the machine: its member, its counters and its term."""

    id: str
    member: str
    name: str
    lang: str
    badge: str
    basis: Basis
    term: Term
    meter: Meter = Meter()
    supervisor: str | None = None
    supervisor_badge: str | None = None
    #: Whether the card was last seen in its holder; only hold mode uses this.
    present: bool = True
    end_reason: EndReason = EndReason.BADGE
    end_actor: str | None = None
    #: Why it ends at ``term.deadline_at``: for the record, and for the panel.
    notice_reason: EndReason = EndReason.REVOKED
    notice_why: str = ""
    #: The badge whose second tap switches off although an input reports work ("" is the stop button), and until when. None:
    #: no question is open.
    asked: str | None = None
    asked_until: int | None = None
    checkpoint_at: int = 0
    progress_at: int = 0

    @property
    def sponsored(self) -> bool:
        """Whether it is a supervisor's session for a guest with an unknown badge."""
        return self.supervisor == self.member

    def is_of(self, badge: str, holder: Holder | None) -> bool:
        """Return whether the badge is that of the session, or another badge of its member."""
        return badge == self.badge or (holder is not None and holder.id == self.member)

    def is_supervised_by(self, badge: str, holder: Holder | None) -> bool:
        """Return whether the badge is one of the supervisor who opened the session."""
        if self.supervisor is None:
            return False
        return badge == self.supervisor_badge or (holder is not None and holder.id == self.supervisor)

    def started(self, mode: Mode, *, continues: str | None = None, energised_from_ms: int | None = None) -> Started:
        """Return the fact that the session begins."""
        return Started(
            self.id, self.member, self.badge, self.basis, mode, self.supervisor, continues, energised_from_ms
        )

    def ended(self, reason: EndReason, meter: Meter, *, actor: str | None = None) -> Ended:
        """Return the fact that the session is over, with the counters of `meter`."""
        counters = meter.energised_ms, meter.running_ms, actor, meter.energy_wh, meter.running_unknown_ms
        return Ended(self.id, self.member, self.badge, reason, *counters)

    def signal(self, kind: SignalKind, ms: int, *, reasons: tuple[str, ...] = (), detail: str = "") -> Signal:
        """Return a signal to its member."""
        return Signal(kind, self.name, self.lang, reasons, ms, detail)


class Pending(NamedTuple):
    """A waiting session: for a supervisor (without a token), or for the journal to confirm `token`."""

    session: Session
    until_ms: int
    token: int | None = None


class Machine(NamedTuple):
    """One machine at one moment.

    `look_up` returns the holder of a badge (a digest), or None for an unknown one. `next_mode` replaces the mode of
    `rules` once the machine is free. `causes` forbid use, each with its detail. `session` has the power, `pending`
    waits for it. `run_sense` says whether a part reports that the machine works: an input (""), or a meter by its name.
    `at_work` are the parts that last reported work, `broken` the meters that cannot be read: one that reports work then
    reports it all the time. `counted_wh` is the last count of an energy meter. `place` is the reader of the card that is
    being judged.
    """

    look_up: Callable[[str], Holder | None]
    now: Now
    rules: MachineRules
    next_mode: Mode
    run_sense: bool
    causes: Mapping[Cause, str]
    stale: bool = False
    at_work: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    counted_wh: int | None = None
    phase: Phase = Phase.FREE
    session: Session | None = None
    pending: Pending | None = None
    place: Place = Place()

    @property
    def beside_holder(self) -> bool:
        """Whether the card is on another reader than the one that holds cards: there it starts nothing in hold mode."""
        return self.place.beside and self.rules.mode is Mode.HOLD

    def holds(self, badge: str) -> bool:
        """Return whether this is the card that has to stay in the holder, in hold mode."""
        session = self.session if self.pending is None else self.pending.session
        return self.rules.mode is Mode.HOLD and session is not None and session.badge == badge

    @property
    def active(self) -> bool:
        """Whether a session has power and has not ended yet."""
        return self.phase in (Phase.ACTIVE, Phase.HANDING_OVER)

    @property
    def working(self) -> bool:
        """Whether the machine counts as working; a meter that cannot be read counts as work."""
        return bool(self.at_work)

    @property
    def stands_still(self) -> bool:
        """Whether an input reports that the machine does no work; False without an input."""
        return self.run_sense and not self.working

    @property
    def is_guessing(self) -> bool:
        """Whether only meters that cannot be read say that the machine works."""
        return self.working and self.at_work <= self.broken

    @property
    def feels(self) -> bool:
        """Whether an input reports the end of a job. Without one, a person says when a job is done."""
        return self.run_sense and not self.is_guessing

    @property
    def second_card_allowed(self) -> bool:
        """Whether a supervisor's card may replace the member's: in hold mode only a grace time allows that."""
        return self.rules.mode is not Mode.HOLD or self.rules.grace_ms > 0

    def job_may_run(self, reason: EndReason) -> bool:
        """Return whether a session that ends for `reason` may leave a job running.

        Without an input only the member knows whether a job runs. If they end the session themselves, none does. If
        something else ends it (a lock, a block, a failing disk), a job may be running. The same holds while a meter is
        broken, but then a limit and a manager who is elsewhere count as something else, too.
        """
        if self.is_guessing:
            return reason not in (EndReason.BADGE, EndReason.BUTTON, EndReason.REMOVED)
        elsewhere = reason in (EndReason.LOCK, EndReason.REVOKED, EndReason.FAULT)
        return self.working or (elsewhere and not self.run_sense)

    def count_work(self, meter: Meter) -> Meter:
        """Return a session's counters, with what the machine does from now on."""
        return meter.run(self.now.boot_ms, on=self.working, known=not self.is_guessing)

    # --- who may do what here -----------------------------------------------------------------------------------------

    def holder_of(self, badge: str | None, member: str | None) -> Holder | None:
        """Return the holder of `badge` if it is still `member`; the badge may have changed hands since its tap."""
        holder = None if badge is None else self.look_up(badge)
        return holder if holder is not None and holder.id == member else None

    def decide(self, holder: Holder | None) -> Decision:
        """Decide whether this person may start a session now (see ``access``)."""
        return decide(holder, rules=self.rules, causes=self.causes.keys(), stale=self.stale, now=self.now)

    def admits(self, holder: Holder | None) -> bool:
        """Return whether the roster admits this person, causes aside.

        Causes, and the loss of the time, have rules of their own for a running session.
        """
        return self._admission(holder).basis is not None

    def _admission(self, holder: Holder | None) -> Decision:
        now = replace(self.now, synced=True)
        return decide(holder, rules=self.rules, causes=frozenset(), stale=False, now=now)

    def _responsible(self, session: Session) -> Holder | None:
        badge = session.supervisor_badge if session.sponsored else session.badge
        return self.holder_of(badge, session.member)

    def objections(self, session: Session) -> tuple[str, ...]:
        """Return why the roster would now refuse a session: its guest, or the person who is responsible; () if it would not.

        A guest who is barred comes first: a lapsed right of their sponsor gives them no notice.
        """
        if self.guest_barred(session):
            return (UNKNOWN_BADGE,)
        decision = self._admission(self._responsible(session))
        return decision.reasons if decision.basis is None else ()

    def has_lapsed(self, session: Session, reasons: tuple[str, ...]) -> bool:
        """Return whether all these objections to a session are rights that ended."""
        return has_lapsed(self._responsible(session), reasons)

    @property
    def right_ends(self) -> tuple[int, str] | None:
        """When hours or dates end the right to this session (boot milliseconds), and the reason; None: not soon, or never.

        It is computed from wall clock and roster at each look, because both change. Only a session that gets a notice asks
        for it: an input reports whether the machine works, and no notice was given yet.
        """
        session = self.session
        if session is None or not self.run_sense or session.term.deadline_at is not None:
            return None
        holder = self._responsible(session)
        ends = times_end(holder, self.rules, self.now) if isinstance(holder, Member) else None
        return None if ends is None else (self.now.boot_ms + ends[0], ends[1])

    def rank_of(self, holder: Holder) -> Level:
        """Return the level that counts here: that of a plain user if the roster no longer admits the person."""
        return holder.rank if isinstance(holder, Member) and self.admits(holder) else Level.USER

    def may_supervise(self, holder: Holder | None) -> bool:
        """Return whether this badge can open a session for another member."""
        return may_supervise(holder, rules=self.rules, causes=self.causes.keys(), now=self.now)

    @property
    def supervisors_own(self) -> Session | None:
        """The session that a supervisor begins, or has, for themselves alone; None: there is no such session."""
        session = self.session if self.pending is None else self.pending.session
        if session is None or session.supervisor is not None or not (self.active or self.phase is Phase.AWAIT_JOURNAL):
            return None
        holder = self.holder_of(session.badge, session.member)
        return session if holder is not None and self.rank_of(holder).supervises else None

    def comes_after_supervisor(self, badge: str, holder: Holder | None) -> bool:
        """Return whether a member who needs a supervisor taps while a supervisor begins, or has, a session of their own.

        The badges of those who have power now, or are about to have it, do not count.
        """
        if not needs_supervisor(holder, rules=self.rules, now=self.now):
            return False
        own = self.supervisors_own
        if own is None:
            return False
        sessions = (own,) if self.session is None else (own, self.session)
        return not any(one.is_of(badge, holder) or one.is_supervised_by(badge, holder) for one in sessions)

    @property
    def member_comes_first(self) -> bool:
        """Whether a supervisor has a session of their own, on a machine where all members need a supervisor."""
        everyone_needs_one = needs_supervisor(_ANY_MEMBER, rules=self.rules, now=self.now)
        return everyone_needs_one and self.second_card_allowed and self.supervisors_own is not None

    def may_sponsor(self, holder: Holder | None) -> bool:
        """Return whether this badge can open a session for an unknown one; never under any cause."""
        return self.rules.sponsor and self.second_card_allowed and not self.causes and self.may_supervise(holder)

    def guest_barred(self, session: Session) -> bool:
        """Return whether the roster now refuses the badge of a guest, whom then no sponsor can admit."""
        guest = self.look_up(session.badge) if session.sponsored else None
        return isinstance(guest, Barred) and not self.admits(guest)

    def new_session(
        self, session_id: str, badge: str, holder: Holder, basis: Basis, sponsor_badge: str | None = None
    ) -> Session:
        """Return a new session of `holder`; `sponsor_badge` is their badge if `badge` is a guest's."""
        return Session(
            id=session_id,
            member=holder.id or "",
            name=getattr(holder, "name", ""),
            lang=getattr(holder, "lang", "en"),
            badge=badge,
            basis=basis,
            term=self.term_for(holder),
            supervisor=None if sponsor_badge is None else holder.id,
            supervisor_badge=sponsor_badge,
            present=sponsor_badge is None,  # a sponsor's card lies on the reader, not the guest's
        )

    def term_for(self, holder: Holder | None) -> Term:
        """Return how long this person may use the machine by the current rules."""
        limit_ms = (holder.limit_ms if isinstance(holder, Member) else None) or self.rules.limit_ms
        return Term(limit_ms, self.rules.max_ms)

"""WHEN does the machine have power?

A state machine without clock, disk or pins: ``handle`` takes one event and returns the commands it leads to, in the
order in which they must be carried out; ``deadline`` says when it wants to be asked again.

Two rules carry the safety case:

1. Power goes on only after the journal has confirmed that the session's start is on disk. ``SetPower(on=True)`` is
   written once, in ``_committed``.
2. Power goes off before anything is journalled. Every end goes through ``_cut``, whose first command is the off. A
   handover is the one end without it: the next session's start is on disk in the same transaction.

What was asked of the journal is never unasked, because a commit that is late may still happen. A start that was
cancelled is answered by an end with 0 ms behind it; a handover that was cancelled by an end of the newcomer and a
session that continues the first one.

The table is obeyed: ``_go`` looks every step up, and a step that is not there stops the daemon, which means power
off. The picture in docs/states.md is drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from fabgate.rules import words as w
from fabgate.rules.access import IN_USE, SUPERVISOR_NEEDED, Decision, decide, may_supervise
from fabgate.rules.flags import Flags
from fabgate.rules.meter import Meter
from fabgate.rules.strangers import Strangers
from fabgate.rules.term import Term


class Phase(StrEnum):
    """Where a session stands. ``STATE_OF`` folds the phases into the four states that others see."""

    IDLE = "idle"
    AWAIT_SUPERVISOR = "await-supervisor"
    AWAIT_JOURNAL = "await-journal"
    ACTIVE = "active"
    HANDING_OVER = "handing-over"
    FINISHING_JOB = "finishing-job"
    RUN_ON = "run-on"


STATE_OF: Final = {
    Phase.IDLE: "idle",
    Phase.AWAIT_SUPERVISOR: "starting",
    Phase.AWAIT_JOURNAL: "starting",
    Phase.ACTIVE: "active",
    Phase.HANDING_OVER: "active",
    Phase.FINISHING_JOB: "finishing",
    Phase.RUN_ON: "finishing",
}


class Step(StrEnum):
    """Why a phase ends."""

    AUTHORISED = "authorised"
    NEEDS_SUPERVISOR = "needs a supervisor"
    CANCELLED = "cancelled or too late"
    COMMITTED = "on disk"
    HANDOVER = "another authorised tap"
    JOB_RUNS = "ends, but a job runs"
    FAN_RUNS = "ends, the fan runs on"
    ENDED = "ends"


#: Every step that exists. Power is on in the phases of ACTIVE and FINISHING, and in no other.
TABLE: Final[dict[tuple[Phase, Step], Phase]] = {
    (Phase.IDLE, Step.AUTHORISED): Phase.AWAIT_JOURNAL,
    (Phase.IDLE, Step.NEEDS_SUPERVISOR): Phase.AWAIT_SUPERVISOR,
    (Phase.AWAIT_SUPERVISOR, Step.AUTHORISED): Phase.AWAIT_JOURNAL,
    (Phase.AWAIT_SUPERVISOR, Step.CANCELLED): Phase.IDLE,
    (Phase.AWAIT_JOURNAL, Step.COMMITTED): Phase.ACTIVE,
    (Phase.AWAIT_JOURNAL, Step.CANCELLED): Phase.IDLE,
    (Phase.ACTIVE, Step.HANDOVER): Phase.HANDING_OVER,
    (Phase.HANDING_OVER, Step.COMMITTED): Phase.ACTIVE,
    (Phase.HANDING_OVER, Step.CANCELLED): Phase.ACTIVE,
    (Phase.ACTIVE, Step.JOB_RUNS): Phase.FINISHING_JOB,
    (Phase.ACTIVE, Step.FAN_RUNS): Phase.RUN_ON,
    (Phase.ACTIVE, Step.ENDED): Phase.IDLE,
    (Phase.FINISHING_JOB, Step.FAN_RUNS): Phase.RUN_ON,
    (Phase.FINISHING_JOB, Step.ENDED): Phase.IDLE,
    (Phase.RUN_ON, Step.JOB_RUNS): Phase.FINISHING_JOB,
    (Phase.RUN_ON, Step.ENDED): Phase.IDLE,
}

SUPERVISOR_MS: Final = 30_000
JOURNAL_MS: Final = 3_000
PROGRESS_MS: Final = 15 * 60_000


@dataclass(slots=True)
class Session:
    """One use of the machine, its member, its counters and its term."""

    id: str
    member: str
    name: str
    lang: str
    badge: str
    basis: w.Basis
    term: Term
    meter: Meter = field(default_factory=Meter)
    supervisor: str | None = None
    supervisor_badge: str | None = None
    present: bool = True
    end_reason: w.EndReason = w.EndReason.BADGE
    end_actor: str | None = None
    checkpoint_at: int = 0
    progress_at: int = 0


@dataclass(slots=True)
class Pending:
    """A session that waits: for a supervisor (no token yet), or for the journal to confirm `token`."""

    session: Session
    until_ms: int
    token: int | None = None


class Gate:
    """One machine. `look_up` tells who holds a badge (by digest); `new_id` makes session ids.

    `run_sense`: whether an input says that the machine works. `continuous`: whether the reader proves presence.
    `latched`: causes and defects that outlive a restart (a lock comes with the roster instead).
    """

    def __init__(
        self,
        look_up: Callable[[str], w.Holder | None],
        rules: w.MachineRules,
        *,
        new_id: Callable[[], str],
        run_sense: bool = False,
        continuous: bool = True,
        checkpoint_ms: int = 30_000,
        latched: Iterable[str] = (),
    ) -> None:
        self._look_up = look_up
        self._rules = rules
        self._new_id = new_id
        self._run_sense = run_sense
        self._checkpoint_ms = checkpoint_ms
        self._flags = Flags(latched, continuous=continuous)
        self._causes: dict[w.Cause, str] = {w.Cause(word): "" for word in latched if word in _LATCHING}
        self._stale = False
        self._running = False
        self._phase = Phase.IDLE
        self._session: Session | None = None
        self._pending: Pending | None = None
        self._strangers = Strangers()
        self._next_mode = rules.mode
        self._token = 0
        self._now = w.Now(0)
        self._out: list[w.Command] = []

    # --- what others see ----------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Return where the session stands."""
        return self._phase

    @property
    def state(self) -> str:
        """Return idle, starting, active or finishing."""
        return STATE_OF[self._phase]

    @property
    def causes(self) -> list[w.Cause]:
        """Return what forbids use, worst first."""
        return [cause for cause in w.Cause if cause in self._causes]

    @property
    def session(self) -> Session | None:
        """Return the session that owns the power, or None."""
        return self._session

    @property
    def powered(self) -> bool:
        """Return whether the machine has power by these rules: ACTIVE or FINISHING, and never in audit mode."""
        return self._session is not None and self._rules.mode is not w.Mode.AUDIT

    @property
    def rules(self) -> w.MachineRules:
        """Return the rules in force."""
        return self._rules

    def deadline(self) -> int | None:
        """Return the boot milliseconds at which a ``Tick`` is due, or None."""
        return min((at for at, _ in self._timers()), default=None)

    def handle(self, event: w.Event, now: w.Now) -> list[w.Command]:  # noqa: C901 - one line an event, read as a table
        """Take one event and return what is to be done, in this order. What is overdue at `now` comes first."""
        self._now = now
        self._out = []
        self._overdue()
        match event:
            case w.Presented(badge):
                self._presented(badge)
            case w.Removed(badge):
                self._removed(badge)
            case w.Misread(why):
                self._signal(w.SignalKind.MISREAD, detail=why)
            case w.StopPressed(actor):
                self._stop_pressed(actor)
            case w.Running(on):
                self._run_sensed(on=on)
            case w.FlagPressed(down):
                self._tell_flag(self._flags.pressed(now.boot_ms, down=down))
            case w.CauseRaised(cause, detail):
                self._raise(cause, detail)
            case w.CauseCleared(cause, member):
                self._clear(cause, member)
            case w.RosterChanged(rules, stale):
                self._roster_changed(rules, stale=stale)
            case w.Extend(by_ms, _):
                self._extend_remotely(by_ms)
            case w.Committed(token):
                self._committed(token)
            case w.Stopping():
                self._stopping()
            case w.Tick():
                pass
        return self._out

    # --- time ---------------------------------------------------------------------------------------------------------

    def _timers(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield every deadline and what it does. Each action removes its own deadline or moves it on."""
        if self._pending is not None:
            yield self._pending.until_ms, self._too_late
        session = self._session
        if session is not None:
            yield session.checkpoint_at, self._checkpoint
            yield session.progress_at, self._progress
            term = session.term
            if self._phase is Phase.FINISHING_JOB:
                yield term.finish_until, self._run_on_or_cut
            elif self._phase is Phase.RUN_ON:
                yield term.run_on_until, self._cut
            else:
                yield term.limit_at, self._limit_reached
                idle_at = term.idle_at(self._rules, still=self._still)
                if idle_at is not None:
                    yield idle_at, self._idled
                if term.grace_until is not None:
                    yield term.grace_until, self._grace_over
                if not term.warned:
                    yield term.warn_at(self._rules, still=self._still), self._warn
        flag_at = self._flags.deadline()
        if flag_at is not None:
            yield flag_at, self._flag_due

    def _overdue(self) -> None:
        while True:
            due = min(((at, act) for at, act in self._timers() if at <= self._now.boot_ms), key=_first, default=None)
            if due is None:
                return
            due[1]()

    @property
    def _still(self) -> bool:
        """Whether the machine is known to stand still; without an input nobody knows."""
        return self._run_sense and not self._running

    # --- a badge ------------------------------------------------------------------------------------------------------

    def _presented(self, badge: str) -> None:
        holder = self._look_up(badge)
        if self._flags.asking and holder is not None and holder.id is not None:
            self._flagged_by(badge, holder)
        elif self._phase is Phase.IDLE:
            self._tapped_idle(badge, holder)
        elif self._phase is Phase.AWAIT_SUPERVISOR:
            self._tapped_awaiting(holder, badge)
        elif self._phase in (Phase.AWAIT_JOURNAL, Phase.HANDING_OVER):
            self._cancel(w.EndReason.CANCELLED)
        elif self._phase is Phase.RUN_ON:
            self._tapped_run_on(badge, holder)
        else:
            self._tapped_in_use(badge, holder)

    def _tapped_idle(self, badge: str, holder: w.Holder | None) -> None:
        guest = self._strangers.take_guest(self._now.boot_ms)
        if holder is None:
            if self._strangers.unknown(badge, self._now.boot_ms):
                self._refuse(badge, None, self._decide(None).reasons)
            return
        if w.Cause.OUTPUT in self._causes and isinstance(holder, w.Member) and holder.level is w.Level.MAINTAINER:
            self._out.append(w.ClearFault(holder.id))
            return
        decision = self._decide(holder)
        if guest is not None and self._rules.sponsor and self._may_supervise(holder):
            assert isinstance(holder, w.Member)
            basis = replace(decision.basis or w.Basis("sponsor"), kind="sponsor")
            self._ask_journal(self._new_session(guest, holder, basis, supervisor=holder.id, supervisor_badge=badge))
        elif decision.basis is None:
            self._refuse(badge, holder, decision.reasons)
        elif decision.needs_supervisor:
            session = self._new_session(badge, holder, decision.basis)
            self._pending = Pending(session, self._now.boot_ms + SUPERVISOR_MS)
            self._go(Step.NEEDS_SUPERVISOR)
            self._signal(w.SignalKind.SUPERVISOR, session=session, ms=SUPERVISOR_MS)
        else:
            self._ask_journal(self._new_session(badge, holder, decision.basis))

    def _tapped_awaiting(self, holder: w.Holder | None, badge: str) -> None:
        assert self._pending is not None
        session = self._pending.session
        if holder is not None and holder.id != session.member and self._may_supervise(holder):
            session.supervisor, session.supervisor_badge = holder.id, badge
            self._ask_journal(session)
        else:
            self._cancel(w.EndReason.CANCELLED)

    def _tapped_run_on(self, badge: str, holder: w.Holder | None) -> None:
        """Let nobody wait for a fan: whoever may start now ends the run-on and starts."""
        if holder is not None and self._decide(holder).basis is not None:
            self._cut()
            self._tapped_idle(badge, holder)
        else:
            self._refuse_in_use(badge, holder)

    def _tapped_in_use(self, badge: str, holder: w.Holder | None) -> None:
        session = self._owner()
        if badge == session.badge or (holder is not None and holder.id == session.member):
            self._own_tap(session, badge)
            return
        decision = self._decide(holder)
        takes_over = self._rules.handover and self._phase is Phase.ACTIVE and holder is not None
        if not takes_over or decision.basis is None or decision.needs_supervisor:
            self._refuse_in_use(badge, holder)
            return
        assert holder is not None
        self._hand_over(self._new_session(badge, holder, decision.basis))

    def _own_tap(self, session: Session, badge: str) -> None:
        same_card = badge == session.badge
        if self._phase is Phase.FINISHING_JOB:
            if self._run_sense:
                self._signal(w.SignalKind.FINISHING, session=session)
            else:
                self._cut()
        elif self._rules.mode is w.Mode.HOLD and same_card:
            session.term.grace_until = None
            if not self._extend(session):
                self._signal(w.SignalKind.GO, session=session)
        elif self._rules.mode is w.Mode.TIMED and same_card:
            session.term.warned = True
            if not self._extend(session):
                self._signal(w.SignalKind.WARNING, session=session, ms=session.term.limit_at - self._now.boot_ms)
        elif not self._extend(session):
            self._flags.hold(badge, self._now.boot_ms)
            self._wish_end(w.EndReason.BADGE)

    def _extend(self, session: Session) -> bool:
        """Extend a session that was warned; say whether that was possible."""
        at = self._now.boot_ms
        if not session.term.warned or not session.term.extend(at, self._rules, still=self._still):
            return False
        self._signal(w.SignalKind.EXTENDED, session=session, ms=session.term.limit_at - at)
        return True

    def _extend_remotely(self, by_ms: int) -> None:
        session = self._session
        if session is not None and self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
            session.term.add(by_ms)
            self._signal(w.SignalKind.EXTENDED, session=session, ms=session.term.limit_at - self._now.boot_ms)

    def _removed(self, badge: str) -> None:
        self._flags.release(badge)
        if self._rules.mode is not w.Mode.HOLD:
            return
        pending = self._pending
        if pending is not None and pending.session.badge == badge:
            pending.session.present = False
            # Where a supervisor's card must be shown, the member's own has to leave the reader: the grace time then
            # runs from the start. Anywhere else a card that left means that nobody stands there.
            if pending.token is not None and pending.session.supervisor is None:
                self._cancel(w.EndReason.CANCELLED)
        elif self._session is not None and self._session.badge == badge:
            self._start_grace(self._session)

    def _start_grace(self, session: Session) -> None:
        if session.term.grace_until is None and self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
            session.term.grace_until = self._now.boot_ms + self._rules.grace_ms
            self._signal(w.SignalKind.GRACE, session=session, ms=self._rules.grace_ms)

    # --- a session begins ---------------------------------------------------------------------------------------------

    def _ask_journal(self, session: Session) -> None:
        token = self._record(self._started(session))
        self._pending = Pending(session, self._now.boot_ms + JOURNAL_MS, token)
        self._go(Step.AUTHORISED)
        self._signal(w.SignalKind.WAIT, session=session)

    def _hand_over(self, newcomer: Session) -> None:
        at = self._now.boot_ms
        newcomer.meter = Meter().energise(at).run(at, on=self._running)
        left = self._owner()
        ended = self._ended(left, w.EndReason.HANDOVER, left.meter.stop(at))
        token = self._record(ended, self._started(newcomer, energised_from_ms=at))
        self._pending = Pending(newcomer, at + JOURNAL_MS, token)
        self._go(Step.HANDOVER)
        self._signal(w.SignalKind.WAIT, session=newcomer)

    def _committed(self, token: int) -> None:
        pending = self._pending
        if pending is None or pending.token != token:
            return
        if not self._still_may(pending.session):
            # Everything is decided again, so that a late disk never powers an empty room.
            self._cancel(w.EndReason.CANCELLED)
            return
        session, at = pending.session, self._now.boot_ms
        self._pending = None
        self._session = session
        takes_over = self._phase is Phase.HANDING_OVER
        self._go(Step.COMMITTED)
        if not takes_over:
            session.meter = Meter().energise(at).run(at, on=self._running)
            if self._rules.mode is not w.Mode.AUDIT:
                self._out.append(w.SetPower(on=True))
        session.term.begin(at, self._rules)
        session.checkpoint_at = at + self._checkpoint_ms
        session.progress_at = at + PROGRESS_MS
        self._signal(w.SignalKind.GO, session=session, ms=session.term.limit_at - at)
        if self._rules.mode is w.Mode.HOLD and not session.present:
            self._start_grace(session)

    def _still_may(self, session: Session) -> bool:
        if session.supervisor_badge is not None and not self._may_supervise(self._look_up(session.supervisor_badge)):
            return False
        if session.basis.kind == "sponsor":
            return not self._causes
        return self._decide(self._look_up(session.badge)).basis is not None

    def _cancel(self, reason: w.EndReason) -> None:
        """Give up what waits. What was asked of the journal is answered by facts behind it, never unasked."""
        pending, self._pending = self._pending, None
        assert pending is not None
        newcomer = pending.session
        facts: list[w.Fact] = []
        if pending.token is not None:
            facts.append(self._ended(newcomer, reason, Meter()))
        if self._phase is Phase.HANDING_OVER:
            # On disk the first session ends at the newcomer's tap. So its holder goes on in a session that begins
            # there: no millisecond is lost, and the newcomer owes none.
            first = self._owner()
            self._session = replace(
                first, id=self._new_id(), meter=newcomer.meter, basis=replace(first.basis, kind="continued")
            )
            since = newcomer.meter.energised_since
            facts.append(self._started(self._session, continues=first.id, energised_from_ms=since))
        if facts:
            self._record(*facts)
        self._go(Step.CANCELLED)
        if self._session is not None:
            self._signal(w.SignalKind.GO, session=self._session)
        else:
            self._signal(
                w.SignalKind.IDLE if reason is w.EndReason.CANCELLED else w.SignalKind.REFUSED, reasons=(reason,)
            )

    def _too_late(self) -> None:
        assert self._pending is not None
        session = self._pending.session
        if self._phase is Phase.AWAIT_SUPERVISOR:
            self._cancel(w.EndReason.CANCELLED)
            self._refuse(session.badge, self._look_up(session.badge), (SUPERVISOR_NEEDED,))
        else:
            self._cancel(w.EndReason.START_TIMEOUT)

    # --- a session ends -----------------------------------------------------------------------------------------------

    def _wish_end(self, reason: w.EndReason, *, actor: str | None = None) -> None:
        """End by the machine's own rules: a running job is finished first, then the fan runs on."""
        session = self._owner()
        session.end_reason, session.end_actor = reason, actor
        if self._rules.mode is w.Mode.AUDIT:
            self._cut()
        elif self._rules.finish_wait and self._job_may_run(reason):
            self._settle_handover()
            session = self._owner()
            session.term.finish(self._now.boot_ms, self._rules)
            self._go(Step.JOB_RUNS)
            self._signal(w.SignalKind.FINISHING, session=session)
        else:
            self._run_on_or_cut()

    def _job_may_run(self, reason: w.EndReason) -> bool:
        # Without an input that says so, nobody but the member knows whether a job runs. Their own end means that none
        # does; an end that comes from elsewhere (a lock, a block, a sick disk) must assume that one does.
        elsewhere = reason in (w.EndReason.LOCK, w.EndReason.REVOKED, w.EndReason.FAULT)
        return self._running or (elsewhere and not self._run_sense)

    def _run_on_or_cut(self) -> None:
        if self._rules.run_on_ms == 0:
            self._cut()
            return
        self._settle_handover()
        session = self._owner()
        session.meter = session.meter.run(self._now.boot_ms, on=False)
        session.term.run_on(self._now.boot_ms, self._rules)
        self._go(Step.FAN_RUNS)
        self._signal(w.SignalKind.RUN_ON, session=session, ms=session.term.run_on_until - self._now.boot_ms)

    def _settle_handover(self) -> None:
        if self._phase is Phase.HANDING_OVER:
            self._cancel(w.EndReason.CANCELLED)

    def _cut(self, *facts: w.Fact) -> None:
        """End the session now: off first, then the record, with `facts` behind it."""
        self._power_off()
        self._settle_handover()
        session = self._owner()
        self._session = None
        meter = session.meter.stop(self._now.boot_ms)
        self._go(Step.ENDED)
        self._record(self._ended(session, session.end_reason, meter, actor=session.end_actor), *facts)
        self._signal(w.SignalKind.ENDED, session=session, ms=meter.energised_ms, reasons=(session.end_reason,))

    def _power_off(self) -> None:
        if self._rules.mode is not w.Mode.AUDIT:
            self._out.append(w.SetPower(on=False))

    def _stop_pressed(self, actor: str | None) -> None:
        reason = w.EndReason.REMOTE if actor else w.EndReason.BUTTON
        if self._phase in (Phase.AWAIT_SUPERVISOR, Phase.AWAIT_JOURNAL):
            self._cancel(w.EndReason.CANCELLED)
        elif self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
            self._wish_end(reason, actor=actor)
        elif self._phase is Phase.RUN_ON or (self._phase is Phase.FINISHING_JOB and not self._run_sense):
            self._cut()
        elif self._phase is Phase.FINISHING_JOB:
            self._signal(w.SignalKind.FINISHING, session=self._session)

    def _run_sensed(self, *, on: bool) -> None:
        at = self._now.boot_ms
        self._running = on
        if self._pending is not None:
            self._pending.session.meter = self._pending.session.meter.run(at, on=on)
        session = self._session
        if session is None:
            return
        term = session.term
        if self._phase is Phase.RUN_ON:
            if on and self._rules.finish_wait and at < term.finish_until:
                session.meter = session.meter.run(at, on=True)
                self._go(Step.JOB_RUNS)
            return
        session.meter = session.meter.run(at, on=on)
        if not on:
            term.still_since = max(term.still_since, at)
        if self._phase is Phase.FINISHING_JOB and not on:
            self._run_on_or_cut()
        elif on and term.warned and at < term.warn_at(self._rules, still=False):
            term.warned = False  # it was the idling that was warned of

    def _limit_reached(self) -> None:
        self._wish_end(w.EndReason.LIMIT)

    def _idled(self) -> None:
        self._wish_end(w.EndReason.IDLE)

    def _grace_over(self) -> None:
        self._owner().term.grace_until = None
        self._wish_end(w.EndReason.REMOVED)

    def _warn(self) -> None:
        session = self._owner()
        session.term.warned = True
        ends_at = session.term.ends_at(self._rules, still=self._still)
        self._signal(w.SignalKind.WARNING, session=session, ms=max(0, ends_at - self._now.boot_ms))

    def _stopping(self) -> None:
        if self._session is not None:
            self._session.end_reason = w.EndReason.RESTART
            self._cut()
        else:
            self._power_off()
            if self._pending is not None:
                self._cancel(w.EndReason.CANCELLED)

    # --- while it lasts -----------------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        session = self._owner()
        session.checkpoint_at = self._now.boot_ms + self._checkpoint_ms
        session.meter = session.meter.read(self._now.boot_ms)
        if self._phase is not Phase.HANDING_OVER:
            meter = session.meter
            self._out.append(w.Checkpoint(session.id, meter.energised_ms, meter.running_ms, self._now))
        self._recheck()

    def _progress(self) -> None:
        session = self._owner()
        session.progress_at = self._now.boot_ms + PROGRESS_MS
        session.meter = session.meter.read(self._now.boot_ms)
        if self._phase is not Phase.HANDING_OVER:
            meter = session.meter
            self._record(w.Progress(session.id, session.member, session.badge, meter.energised_ms, meter.running_ms))

    def _recheck(self) -> None:
        """End the session, once idle, when its member may no longer use the machine (blocked, expired, window over)."""
        session = self._session
        if session is None or self._phase not in (Phase.ACTIVE, Phase.HANDING_OVER):
            return
        badge = session.supervisor_badge if session.basis.kind == "sponsor" else session.badge
        holder = None if badge is None else self._look_up(badge)
        # Causes have their own rules for a running session; this is only about the person.
        if decide(holder, rules=self._rules, causes=frozenset(), stale=False, now=self._now).basis is None:
            self._wish_end(w.EndReason.REVOKED)

    # --- causes, roster, flags ----------------------------------------------------------------------------------------

    def _raise(self, cause: w.Cause, detail: str) -> None:
        if cause in self._causes:
            return
        self._causes[cause] = detail
        fact = w.Blocked(cause, detail)
        if cause in w.CUT and self._session is not None:
            self._session.end_reason = w.EndReason.LOCK if cause is w.Cause.LOCK_NOW else w.EndReason.FAULT
            self._session.end_actor = None
            self._cut(fact)
        elif cause in w.CUT:
            self._power_off()
            self._cancel_start()
            self._record(fact)
        else:
            self._cancel_start()
            self._record(fact)
            if cause in w.END_WHEN_IDLE and self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
                self._wish_end(w.EndReason.LOCK if cause is w.Cause.LOCK_IDLE else w.EndReason.FAULT)
            elif cause is w.Cause.READER and self._rules.mode is w.Mode.HOLD and self._session is not None:
                self._start_grace(self._session)
        if self._session is None:
            self._signal(w.SignalKind.BLOCKED, reasons=(cause,), detail=detail)

    def _cancel_start(self) -> None:
        if self._pending is not None:
            self._cancel(w.EndReason.CANCELLED)

    def _clear(self, cause: w.Cause, member: str | None) -> None:
        if self._causes.pop(cause, None) is None:
            return
        self._record(w.Cleared(cause, member))
        if self._phase is Phase.IDLE:
            left = self.causes
            kind = w.SignalKind.BLOCKED if left else w.SignalKind.IDLE
            self._signal(kind, reasons=tuple(left[:1]), detail=self._causes[left[0]] if left else "")

    def _roster_changed(self, rules: w.MachineRules, *, stale: bool) -> None:
        # The mode of a session is the one it began with: power that audit mode does not switch would otherwise stay on,
        # and a card that was tapped would be missed in its holder. The new one holds from the next idle moment.
        self._next_mode = rules.mode
        self._rules = rules if self._phase is Phase.IDLE else replace(rules, mode=self._rules.mode)
        self._stale = stale
        wanted = {w.Cause.LOCK_NOW: False, w.Cause.LOCK_IDLE: False, w.Cause.STALE: stale and rules.deny_when_stale}
        if rules.lock is not None:
            wanted[w.Cause.LOCK_NOW if rules.lock.now else w.Cause.LOCK_IDLE] = True
        for cause, there in wanted.items():
            if there:
                self._raise(cause, rules.lock.reason if rules.lock and cause is not w.Cause.STALE else "")
        for cause, there in wanted.items():
            if not there:
                self._clear(cause, None)
        self._recheck()

    def _flag_due(self) -> None:
        self._tell_flag(self._flags.due(self._now.boot_ms))

    def _tell_flag(self, kind: str | None) -> None:
        if kind is not None:
            self._signal(w.SignalKind.FLAG_ASK, detail=kind)

    def _flagged_by(self, badge: str, holder: w.Holder) -> None:
        facts, signal = self._flags.badge(badge, holder)
        for fact in facts:
            if isinstance(fact, w.Blocked):
                self._causes[fact.cause] = fact.detail
            elif isinstance(fact, w.Cleared) and isinstance(fact.cause, w.Cause):
                self._causes.pop(fact.cause, None)
        if facts:
            self._cancel_start()
            self._record(*facts)
        self._signal(signal, lang=getattr(holder, "lang", None))

    # --- small tools --------------------------------------------------------------------------------------------------

    def _go(self, step: Step) -> None:
        self._phase = TABLE[self._phase, step]
        if self._phase is Phase.IDLE and self._rules.mode is not self._next_mode:
            self._rules = replace(self._rules, mode=self._next_mode)

    def _owner(self) -> Session:
        assert self._session is not None
        return self._session

    def _decide(self, holder: w.Holder | None) -> Decision:
        return decide(holder, rules=self._rules, causes=self._causes.keys(), stale=self._stale, now=self._now)

    def _may_supervise(self, holder: w.Holder | None) -> bool:
        return may_supervise(holder, rules=self._rules, causes=self._causes.keys(), now=self._now)

    def _new_session(
        self,
        badge: str,
        holder: w.Holder,
        basis: w.Basis,
        *,
        supervisor: str | None = None,
        supervisor_badge: str | None = None,
    ) -> Session:
        limit_ms = (holder.limit_ms if isinstance(holder, w.Member) else None) or self._rules.limit_ms
        return Session(
            id=self._new_id(),
            member=holder.id or "",
            name=getattr(holder, "name", ""),
            lang=getattr(holder, "lang", "en"),
            badge=badge,
            basis=basis,
            term=Term(limit_ms),
            supervisor=supervisor,
            supervisor_badge=supervisor_badge,
        )

    def _refuse_in_use(self, badge: str, holder: w.Holder | None) -> None:
        self._refuse(badge, holder, (IN_USE, *self._decide(holder).reasons))

    def _refuse(self, badge: str, holder: w.Holder | None, reasons: tuple[str, ...]) -> None:
        self._record(w.Refused(badge, None if holder is None else holder.id, reasons))
        lang = None if holder is None or not isinstance(holder, w.Member | w.Barred) else holder.lang
        self._signal(w.SignalKind.REFUSED, lang=lang, reasons=reasons)

    def _started(
        self, session: Session, *, continues: str | None = None, energised_from_ms: int | None = None
    ) -> w.Started:
        return w.Started(
            session.id,
            session.member,
            session.badge,
            session.basis,
            self._rules.mode,
            session.supervisor,
            continues,
            energised_from_ms,
        )

    def _ended(self, session: Session, reason: w.EndReason, meter: Meter, *, actor: str | None = None) -> w.Ended:
        return w.Ended(session.id, session.member, session.badge, reason, meter.energised_ms, meter.running_ms, actor)

    def _record(self, *facts: w.Fact) -> int:
        self._token += 1
        self._out.append(w.Record(self._token, facts, self._now))
        return self._token

    def _signal(
        self,
        kind: w.SignalKind,
        *,
        session: Session | None = None,
        lang: str | None = None,
        reasons: tuple[str, ...] = (),
        ms: int = 0,
        detail: str = "",
    ) -> None:
        if session is not None:
            lang = session.lang
        self._out.append(w.Signal(kind, session.name if session else "", lang, reasons, ms, detail))


_LATCHING: Final = frozenset({w.Cause.OUTPUT.value, w.Cause.FLAG.value})


def _first(timer: tuple[int, Callable[[], None]]) -> int:
    return timer[0]

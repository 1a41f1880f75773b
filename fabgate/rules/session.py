"""WHEN does the machine have power?

A state machine without clock, disk or pins: ``handle`` takes one event and returns the commands it leads to, in the
order in which they must be carried out; ``deadline`` says when it wants to be asked again.

Two rules carry the safety case:

1. Power goes on only after the journal has confirmed that the session's start is on disk. ``SetPower(on=True)`` is
   written once, in ``_committed``.
2. Power goes off before anything is journalled. Every end goes through ``_cut``, and ``_power_off`` puts the off in
   front of all that the same answer holds. A handover is the one end without it: the next session's start is on disk
   in the same transaction.

What was asked of the journal is never unasked, because a commit that is late may still happen. A start that was
cancelled is answered by an end with 0 ms behind it; a handover that was cancelled by an end of the newcomer and a
session that continues the first one.

This file is the path of the power: the table, the events, the deadlines, how a session begins and how it ends. What
stands around it: ``taps`` (what a badge means), ``causes`` (what forbids use), ``lasting`` (what happens meanwhile),
``panel`` (what people see for each state),
``notebook`` (what is known, and how it is told); they order power through the verbs below and by no other way.

The table is obeyed: ``_go`` looks every step up, and a step that is not there stops the daemon, which means power
off. The picture in docs/states.md is drawn from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final

from fabgate.rules import vocabulary as w
from fabgate.rules.access import IN_USE, SUPERVISOR_NEEDED, Decision
from fabgate.rules.causes import Causes
from fabgate.rules.lasting import PROGRESS_MS
from fabgate.rules.meter import Meter
from fabgate.rules.owner import STATE_OF, Pending, Phase, Session
from fabgate.rules.taps import Taps

__all__ = ["STATE_OF", "TABLE", "Gate", "Phase", "Session", "Step"]


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


class Gate(Taps, Causes):
    """One machine. `look_up` tells who holds a badge (by digest); `new_id` makes session ids.

    `run_sense`: whether an input says that the machine works. `continuous`: whether the reader proves presence.
    `latched`: causes and defects that outlive a restart (a lock comes with the roster instead).
    """

    def handle(self, event: w.Event, now: w.Now) -> list[w.Command]:  # noqa: C901 - one line an event, read as a table
        """Take one event and return what is to be done, in this order. What is overdue at `now` comes first."""
        self._now = now
        self._out = []
        self._overdue()
        match event:
            case w.Presented(badge):
                self._presented(badge)
            case w.Lying(badge):
                self._lies(badge)
            case w.Removed(badge):
                self._removed(badge)
            case w.Misread(why):
                self._signal(w.SignalKind.MISREAD, detail=why)
            case w.StopPressed(actor):
                self._stop_pressed(actor)
            case w.Running(on):
                self._run_sensed(on=on)
            case w.FlagPressed(down):
                self._flags.pressed(now.boot_ms, down=down)
            case w.CauseRaised(cause, detail):
                self._raise(cause, detail)
            case w.CauseCleared(cause, member):
                self._clear(cause, member)
            case w.CheckpointLate(detail):
                self._checkpoint_late(detail)
            case w.RosterChanged(rules, stale):
                self._roster_changed(rules, stale=stale)
            case w.Extend(by_ms, _):
                self._extend_remotely(by_ms)
            case w.Committed(token):
                self._committed(token)
            case w.Stopping():
                self._stopping()
            # A Tick is nothing but its deadlines.
        self._overdue()  # an event may have set a deadline that is past already
        return self._out

    def deadline(self) -> int | None:
        """Return the boot milliseconds at which a ``Tick`` is due, or None.

        Nothing is ordered at the moment from which a session is soon over; the panel shows that from then on.
        """
        due = [at for at, _ in self._timers()]
        if self._session is not None and self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
            warn_at = self._session.term.warn_at(self._rules, still=self._still)
            due += [warn_at] if warn_at > self._now.boot_ms else []
        return min(due, default=None)

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
                if term.grace_until is not None:
                    yield term.grace_until, self._grace_over
            elif self._phase is Phase.RUN_ON:
                yield term.run_on_until, self._cut
            else:
                yield term.limit_at, self._limit_reached
                idle_at = term.idle_at(self._rules, still=self._still)
                if idle_at is not None:
                    yield idle_at, self._idled
                if term.grace_until is not None:
                    yield term.grace_until, self._grace_over
        flag_at = self._flags.deadline()
        if flag_at is not None:
            yield flag_at, lambda: self._flags.due(self._now.boot_ms)

    def _overdue(self) -> None:
        while True:
            due = [timer for timer in self._timers() if timer[0] <= self._now.boot_ms]
            if not due:
                return
            min(due, key=_first)[1]()

    # --- a session begins ---------------------------------------------------------------------------------------------

    def _ask_supervisor(self, session: Session) -> None:
        self._pending = Pending(session, self._now.boot_ms + SUPERVISOR_MS)
        self._go(Step.NEEDS_SUPERVISOR)

    def _ask_journal(self, session: Session) -> None:
        token = self._record(self._started(session))
        self._pending = Pending(session, self._now.boot_ms + JOURNAL_MS, token)
        self._go(Step.AUTHORISED)

    def _hand_over(self, newcomer: Session) -> None:
        at = self._now.boot_ms
        newcomer.meter = Meter().energise(at).run(at, on=self._running)
        left = self._owner()
        ended = self._ended(left, w.EndReason.HANDOVER, left.meter.stop(at))
        token = self._record(ended, self._started(newcomer, energised_from_ms=at))
        self._pending = Pending(newcomer, at + JOURNAL_MS, token)
        self._go(Step.HANDOVER)

    def _committed(self, token: int) -> None:
        pending = self._pending
        if pending is None or pending.token != token:
            return
        if not self._decide_again():  # so that a late disk never powers an empty room
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
        if self._rules.mode is w.Mode.HOLD and not session.present:
            self._start_grace(session)

    def _decide_again(self) -> bool:
        """Decide again on what waits; say whether it may still begin. Who may not is told every reason."""
        if self._pending is None:
            return False
        session = self._pending.session
        supervisor = self._holder(session.supervisor_badge, session.supervisor)
        answers = supervisor if session.sponsored else self._holder(session.badge, session.member)
        decision = self._decide(answers)
        reasons = self._why_no_longer(session, supervisor, decision)
        if reasons is not None:
            self._cancel(w.EndReason.CANCELLED)
            self._turn_away(session, reasons)
            return False
        assert decision.basis is not None
        basis = replace(decision.basis, kind="sponsor") if session.sponsored else decision.basis
        if self._phase is Phase.AWAIT_SUPERVISOR:  # nothing is recorded yet
            session.basis, session.term = basis, self._term(answers)
        elif basis != session.basis:
            # The record names another right than the one by which they would use the machine now.
            self._cancel(w.EndReason.CANCELLED)
            self._signal(w.SignalKind.REFUSED, lang=session.lang, reasons=(w.EndReason.START_TIMEOUT,))
            return False
        session.term.at_most(self._term(answers))
        return True

    def _why_no_longer(
        self, session: Session, supervisor: w.Holder | None, decision: Decision
    ) -> tuple[str, ...] | None:
        """Return every reason why what waits may not begin any more, or None; `decision` is on who answers for it."""
        if self._phase is Phase.HANDING_OVER and not self._rules.handover:
            return (IN_USE,)
        if self._guest_barred(session):
            return self._decide(self._look_up(session.badge)).reasons
        if decision.basis is None:
            return (SUPERVISOR_NEEDED,) if session.sponsored else decision.reasons
        waits = self._phase is Phase.AWAIT_SUPERVISOR
        card_is_out = waits or not session.present
        if session.sponsored:
            opened = supervisor is not None and self._may_sponsor(supervisor)
        else:
            opened = waits or not decision.needs_supervisor or self._may_supervise(supervisor)
        return None if opened and (self._cards_may_change or not card_is_out) else (SUPERVISOR_NEEDED,)

    def _cancel(self, reason: w.EndReason) -> None:
        """Give up what waits. Whoever cancels sees it at once; that the disk was too slow has to be said."""
        assert self._pending is not None
        lang = self._pending.session.lang
        self._give_up(reason)
        if reason is w.EndReason.START_TIMEOUT:
            self._signal(w.SignalKind.REFUSED, lang=lang, reasons=(reason,))

    def _cancel_start(self) -> None:
        if self._pending is not None:
            self._cancel(w.EndReason.CANCELLED)

    def _give_up(self, reason: w.EndReason) -> None:
        """Answer what was asked of the journal by facts behind it; it is never unasked."""
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

    def _too_late(self) -> None:
        assert self._pending is not None
        session = self._pending.session
        if self._phase is not Phase.AWAIT_SUPERVISOR:
            self._cancel(w.EndReason.START_TIMEOUT)
        elif self._decide_again():
            self._cancel(w.EndReason.CANCELLED)
            self._turn_away(session, (SUPERVISOR_NEEDED,))

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
            session.term.finish(self._now.boot_ms, self._rules, felt=self._run_sense)
            self._go(Step.JOB_RUNS)
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
        session.term.run_on(self._now.boot_ms, self._rules, felt=self._run_sense)
        self._go(Step.FAN_RUNS)

    def _job_said_done(self, session: Session) -> None:
        """Take the member's word that the job is done where no input says it; an input knows better than a tap."""
        if self._run_sense:
            self._tell_finishing(session)
        else:
            self._run_on_or_cut()

    def _settle_handover(self) -> None:
        if self._phase is Phase.HANDING_OVER:
            self._give_up(w.EndReason.CANCELLED)

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
        """Put the off in front of all that this answer holds.

        One event may lead to a record before it leads to an end: a cause that is noted, a deadline that was overdue.
        And a session may be over as it begins; then its power never goes on.
        """
        if self._rules.mode is not w.Mode.AUDIT:
            others = [command for command in self._out if not isinstance(command, w.SetPower)]
            self._out = [w.SetPower(on=False), *others]

    def _stop_pressed(self, actor: str | None) -> None:
        reason = w.EndReason.REMOTE if actor else w.EndReason.BUTTON
        if self._phase in (Phase.AWAIT_SUPERVISOR, Phase.AWAIT_JOURNAL):
            self._cancel(w.EndReason.CANCELLED)
        elif self._phase in (Phase.ACTIVE, Phase.HANDING_OVER):
            self._wish_end(reason, actor=actor)
        elif self._phase is Phase.FINISHING_JOB:
            self._job_said_done(self._owner())
        elif self._phase is Phase.RUN_ON:
            self._cut()

    def _run_sensed(self, *, on: bool) -> None:
        if on is self._running:
            return  # said twice, or each repetition would start the idle time anew
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

    def _limit_reached(self) -> None:
        self._wish_end(w.EndReason.LIMIT)

    def _idled(self) -> None:
        self._wish_end(w.EndReason.IDLE)

    def _grace_over(self) -> None:
        session = self._owner()
        session.term.grace_until = None
        if self._phase is Phase.FINISHING_JOB:
            self._job_said_done(session)  # whoever takes the card out says so
        else:
            self._wish_end(w.EndReason.REMOVED)

    def _stopping(self) -> None:
        if self._session is not None:
            self._session.end_reason, self._session.end_actor = w.EndReason.RESTART, None
            self._cut()
        else:
            self._power_off()
            self._cancel_start()

    # --- the table ----------------------------------------------------------------------------------------------------

    def _go(self, step: Step) -> None:
        self._phase = TABLE[self._phase, step]
        if self._phase is Phase.IDLE and self._rules.mode is not self._next_mode:
            self._rules = replace(self._rules, mode=self._next_mode)


def _first(timer: tuple[int, Callable[[], None]]) -> int:
    return timer[0]

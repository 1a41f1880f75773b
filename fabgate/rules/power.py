"""WHEN the machine has power: the table of phases, how a session begins and ends, and the deadlines.

Two rules carry the safety case:

1. Power goes on only after the journal has confirmed that the session's start is on disk. ``SetPower(on=True)`` is
   written once, in ``committed``.
2. Power goes off before anything is journalled. Every end goes through ``_cut``, and ``_power_off`` puts the off in
   front of everything else in the same answer. A handover is the one end without an off: the next session's start is
   on disk in the same transaction.

A record is never withdrawn, because a late commit may still happen. After a cancelled start it is recorded that the
session ended after 0 ms; after a cancelled handover, that the newcomer's session ended, and that the first one
continues in a new session.

``Power`` is the only place where intents become commands and phases change. ``_go`` looks up each step in ``TABLE``. A
missing step stops the daemon, which means power off. docs/states.md is drawn from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Final

from fabgate.rules import intents
from fabgate.rules.bookkeeping import learn
from fabgate.rules.machine import Machine, Pending, Phase, Session
from fabgate.rules.meter import Meter
from fabgate.rules.reactions import in_session, starts, taps
from fabgate.rules.reactions.flags import Flags
from fabgate.rules.reactions.refusals import Refusals
from fabgate.rules.readers import Place
from fabgate.rules.term import notice_ms
from fabgate.rules.vocabulary import (
    Cause,
    Checkpoint,
    ClearFault,
    Command,
    EndReason,
    Fact,
    Mode,
    Now,
    Progress,
    Record,
    SetPower,
    Signal,
    SignalKind,
)


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


#: All steps. Power is on in ACTIVE, HANDING_OVER, FINISHING_JOB and RUN_ON, and in no other phase.
TABLE: Final[dict[tuple[Phase, Step], Phase]] = {
    (Phase.FREE, Step.AUTHORISED): Phase.AWAIT_JOURNAL,
    (Phase.FREE, Step.NEEDS_SUPERVISOR): Phase.AWAIT_SUPERVISOR,
    (Phase.AWAIT_SUPERVISOR, Step.AUTHORISED): Phase.AWAIT_JOURNAL,
    (Phase.AWAIT_SUPERVISOR, Step.CANCELLED): Phase.FREE,
    (Phase.AWAIT_JOURNAL, Step.COMMITTED): Phase.ACTIVE,
    (Phase.AWAIT_JOURNAL, Step.CANCELLED): Phase.FREE,
    (Phase.ACTIVE, Step.HANDOVER): Phase.HANDING_OVER,
    (Phase.HANDING_OVER, Step.COMMITTED): Phase.ACTIVE,
    (Phase.HANDING_OVER, Step.CANCELLED): Phase.ACTIVE,
    (Phase.ACTIVE, Step.JOB_RUNS): Phase.FINISHING_JOB,
    (Phase.ACTIVE, Step.FAN_RUNS): Phase.RUN_ON,
    (Phase.ACTIVE, Step.ENDED): Phase.FREE,
    (Phase.FINISHING_JOB, Step.FAN_RUNS): Phase.RUN_ON,
    (Phase.FINISHING_JOB, Step.ENDED): Phase.FREE,
    (Phase.RUN_ON, Step.JOB_RUNS): Phase.FINISHING_JOB,
    (Phase.RUN_ON, Step.ENDED): Phase.FREE,
}

SUPERVISOR_MS: Final = 30_000
JOURNAL_MS: Final = 3_000
PROGRESS_MS: Final = 15 * 60_000


class Power:
    """Carries out intents. `machine` is the current knowledge; `commands` are those of the current answer."""

    def __init__(
        self, machine: Machine, flags: Flags, refusals: Refusals, *, new_id: Callable[[], str], checkpoint_ms: int
    ) -> None:
        self.machine = machine
        self.commands: list[Command] = []
        self._flags = flags
        self._refusals = refusals
        self._new_id = new_id
        self._checkpoint_ms = checkpoint_ms
        self._token = 0

    def begin_answer(self, now: Now, place: Place | None) -> None:
        """Begin the answer to another event; `place` is where its card is, if it is about one."""
        self.machine = self.machine._replace(now=now, place=place or self.machine.place)
        self.commands = []

    def do(self, wanted: tuple[intents.Intent, ...]) -> None:  # noqa: C901 - one line an intent, read as a table
        """Carry intents out, in their order."""
        for intent in wanted:
            match intent:
                case intents.Start(badge, holder, basis, sponsor_badge):
                    self._ask_journal(self.machine.new_session(self._new_id(), badge, holder, basis, sponsor_badge))
                case intents.AskSupervisor(badge, holder, basis):
                    self._ask_supervisor(self.machine.new_session(self._new_id(), badge, holder, basis))
                case intents.AcceptSupervisor(member, badge):
                    self._accept_supervisor(member, badge)
                case intents.HandOver(badge, holder, basis):
                    self._hand_over(self.machine.new_session(self._new_id(), badge, holder, basis))
                case intents.CancelStart(reason):
                    self._cancel_start(reason)
                case intents.EndByRules(reason, actor, assumes_job):
                    self._end_by_rules(reason, actor, assumes_job=assumes_job)
                case intents.EndJob(resumes):
                    self._end_job(resumes=resumes)
                case intents.ResumeJob():
                    self._resume_job()
                case intents.Cut(reason_or_none, facts):
                    self._cut(reason_or_none, facts)
                case intents.TapAgain(badge, guest):
                    self.do(taps.presented(self.machine, badge, guest, flag_asks=self._flags.asking))
                case intents.Refuse():
                    self.do(self._refusals.refuse(intent, self.machine.now))
                case intents.AnswerFlag():
                    self.do(self._flags.answer(intent, danger=Cause.FLAG in self.machine.causes))
                case intents.TimeBadge(badge):
                    if self.machine.place.continuous:
                        self._flags.hold(badge, self.machine.now.boot_ms)
                case intents.RecordFacts(facts):
                    self._record(*facts)
                case Signal() | ClearFault():
                    self.commands.append(intent)
                case _:  # ``intents.Bookkeeping``: it changes what is known, and no power
                    self.machine = learn(self.machine, intent)

    # --- a session begins ---------------------------------------------------------------------------------------------

    def _ask_supervisor(self, session: Session) -> None:
        pending = Pending(session, self.machine.now.boot_ms + SUPERVISOR_MS)
        self._go(Step.NEEDS_SUPERVISOR, session=None, pending=pending)

    def _accept_supervisor(self, member: str | None, badge: str) -> None:
        session = self._may_still_begin()
        if session is not None:
            self._ask_journal(session._replace(supervisor=member, supervisor_badge=badge))

    def _ask_journal(self, session: Session) -> None:
        token = self._record(session.started(self.machine.rules.mode))
        pending = Pending(session, self.machine.now.boot_ms + JOURNAL_MS, token)
        self._go(Step.AUTHORISED, session=None, pending=pending)

    def _hand_over(self, newcomer: Session) -> None:
        at, first = self.machine.now.boot_ms, self._owner()
        newcomer = newcomer._replace(meter=self._counting_from(at))
        token = self._record(
            first.ended(EndReason.HANDOVER, first.meter.stop(at)),
            newcomer.started(self.machine.rules.mode, energised_from_ms=at),
        )
        self._go(Step.HANDOVER, session=first, pending=Pending(newcomer, at + JOURNAL_MS, token))

    def committed(self, token: int) -> None:
        """Begin the session whose start the journal confirms, unless it was cancelled or may no longer begin."""
        pending, takes_over = self.machine.pending, self.machine.phase is Phase.HANDING_OVER
        if pending is None or pending.token != token:
            return
        session = self._may_still_begin()  # so that after a slow write no machine starts without its member
        if session is None:
            return
        at, rules = self.machine.now.boot_ms, self.machine.rules
        session = session._replace(
            meter=session.meter if takes_over else self._counting_from(at),
            term=session.term.begin(at, rules),
            checkpoint_at=at + self._checkpoint_ms,
            progress_at=at + PROGRESS_MS,
        )
        self._go(Step.COMMITTED, session=session)
        if not takes_over and rules.mode is not Mode.AUDIT:
            self.commands.append(SetPower(on=True))
        if rules.mode is Mode.HOLD and not session.present:
            self.do(in_session.grace(self.machine))

    def _may_still_begin(self) -> Session | None:
        """Decide again about the waiting session. Return it as it may begin, or cancel it and return None."""
        pending = self.machine.pending
        if pending is None:
            return None
        answer = starts.decide_again(self.machine, pending)
        if isinstance(answer, Session):
            self.machine = self.machine._replace(pending=pending._replace(session=answer))
            return answer
        self.do(answer)
        return None

    def roster_changed(self) -> None:
        """Apply a new roster to the running session and to the waiting one."""
        self._follow_access()
        self._may_still_begin()

    def _cancel_start(self, reason: EndReason = EndReason.CANCELLED) -> None:
        """Cancel the waiting session.

        If the disk was too slow, the panel says so; a person who cancels needs no message.
        """
        pending, session = self.machine.pending, self.machine.session
        if pending is None:
            return
        facts: list[Fact] = []
        if pending.token is not None:
            facts.append(pending.session.ended(reason, Meter()))
        if session is not None:
            # On disk the first session ended at the newcomer's tap. Its member continues in a session that begins
            # there: no millisecond is lost, and the newcomer owes none.
            first, meter = session.id, pending.session.meter
            basis = session.basis._replace(kind="continued")
            session = session._replace(id=self._new_id(), meter=meter, basis=basis)
            mode, since = self.machine.rules.mode, meter.energised_since
            facts.append(session.started(mode, continues=first, energised_from_ms=since))
        if facts:
            self._record(*facts)
        self._go(Step.CANCELLED, session=session)
        if reason is EndReason.START_TIMEOUT:
            self.commands.append(Signal(SignalKind.REFUSED, lang=pending.session.lang, reasons=(reason,)))

    # --- a session ends -----------------------------------------------------------------------------------------------

    def _end_by_rules(self, reason: EndReason, actor: str | None = None, *, assumes_job: bool = True) -> None:
        """End by the rules: a running job is finished first, then the fan runs on, then power goes off."""
        rules = self.machine.rules
        self.machine = self.machine._replace(session=self._owner()._replace(end_reason=reason, end_actor=actor))
        if rules.mode is Mode.AUDIT:
            self._cut()
        elif rules.finishes_jobs and (self.machine.job_may_run(reason) if assumes_job else self.machine.working):
            session = self._owner_alone()
            term = session.term.finish(self.machine.now.boot_ms, rules, run_sense=self.machine.run_sense)
            self._go(Step.JOB_RUNS, session=session._replace(term=term))
        else:
            self._end_job()

    def _end_job(self, *, resumes: bool = True) -> None:
        """Let the fan run on, or switch off if there is no run-on."""
        at, rules = self.machine.now.boot_ms, self.machine.rules
        if rules.run_on_ms == 0:
            self._cut()
            return
        session = self._owner_alone()
        term = session.term.run_on(at, rules, run_sense=self.machine.run_sense)
        if not resumes:
            term = term._replace(finish_until=at)
        self._go(Step.FAN_RUNS, session=session._replace(meter=session.meter.run(at, on=False), term=term))

    def _end_notice(self) -> None:
        """End a session whose notice is over. A job that began after the notice is cut, also where rules wait for jobs."""
        session = self._owner()
        if self.machine.working:
            self._cut(session.notice_reason if self.machine.active else None)
        else:
            self._end_by_rules(session.notice_reason)

    def _resume_job(self) -> None:
        session = self._owner()
        self._go(Step.JOB_RUNS, session=session._replace(meter=self.machine.count_work(session.meter)))

    def _cut(self, reason: EndReason | None = None, facts: tuple[Fact, ...] = ()) -> None:
        """Switch off now; then end the session or cancel the start; then record `facts`."""
        self._power_off()
        if self.machine.session is None:
            self._cancel_start()
            if facts:
                self._record(*facts)
            return
        session = self._owner_alone()
        if reason is not None:
            session = session._replace(end_reason=reason, end_actor=None)
        meter = session.meter.stop(self.machine.now.boot_ms)
        self._go(Step.ENDED, session=None)
        self._record(session.ended(session.end_reason, meter, actor=session.end_actor), *facts)
        self.commands.append(session.signal(SignalKind.ENDED, meter.energised_ms, reasons=(session.end_reason,)))

    def _power_off(self) -> None:
        """Make switching off the first command of this answer.

        Otherwise a record of the same event (such as that of an overdue deadline) might come before it. Any other
        SetPower is dropped: if a session begins and ends in the same answer, its power never goes on.
        """
        if self.machine.rules.mode is not Mode.AUDIT:
            others = [command for command in self.commands if not isinstance(command, SetPower)]
            self.commands = [SetPower(on=False), *others]

    # --- deadlines ----------------------------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """Return the boot milliseconds at which something is due, or None.

        This includes the warning before a session ends: it needs no command, but the panel changes.
        """
        due = [at for at, _ in self._timers()]
        session, rules = self.machine.session, self.machine.rules
        if session is not None and self.machine.active:
            warnings = [session.term.warn_at(rules, still=self.machine.stands_still)]
            if (right_ends := self.machine.right_ends) is not None:
                warnings.append(right_ends[0] - notice_ms(rules))
            due += [at for at in warnings if at > self.machine.now.boot_ms]
        return min(due, default=None)

    def run_overdue(self) -> None:
        """Do everything that is due by now, the oldest first."""
        while True:
            due = [timer for timer in self._timers() if timer[0] <= self.machine.now.boot_ms]
            if not due:
                return
            min(due, key=_first)[1]()

    def _timers(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield every deadline with its action, which removes the deadline or postpones it."""
        pending, session = self.machine.pending, self.machine.session
        if pending is not None:
            yield pending.until_ms, partial(self._give_up, pending)
        if session is not None:
            yield session.checkpoint_at, self._checkpoint
            yield session.progress_at, self._progress
            yield from self._ends(session)
            if session.asked_until is not None:
                yield session.asked_until + 1, partial(self.do, (intents.AskAgain(None, None),))
        flag_at = self._flags.deadline()
        if flag_at is not None:
            yield flag_at, partial(self._flags.due, self.machine.now.boot_ms)

    def _ends(self, session: Session) -> Iterator[tuple[int, Callable[[], None]]]:
        """Yield what ends the session, its job or its run-on."""
        machine, term = self.machine, session.term
        if machine.phase is Phase.FINISHING_JOB:
            yield term.finish_until, self._end_job
        elif machine.phase is Phase.RUN_ON:
            yield term.run_on_until, self._cut
        else:
            yield term.limit_at, partial(self._end_by_rules, EndReason.LIMIT)
            idle_off_at = term.idle_off_at(machine.rules, still=machine.stands_still)
            if idle_off_at is not None:
                yield idle_off_at, partial(self._end_by_rules, EndReason.IDLE)
        if term.cut_at is not None and (machine.active or machine.working):
            yield term.cut_at, self._end_notice
        if (right_ends := machine.right_ends) is not None:
            yield right_ends[0], self._follow_access
        if term.grace_until is not None and machine.phase is not Phase.RUN_ON:
            yield term.grace_until, self._end_grace

    def _give_up(self, pending: Pending) -> None:
        self.do(starts.too_late(self.machine, pending))

    def _end_grace(self) -> None:
        self.do(in_session.grace_over(self.machine))

    def _checkpoint(self) -> None:
        now, session = self.machine.now, self._owner()
        meter = session.meter.read(now.boot_ms)
        session = session._replace(meter=meter, checkpoint_at=now.boot_ms + self._checkpoint_ms)
        self.machine = self.machine._replace(session=session)
        if self.machine.phase is not Phase.HANDING_OVER:
            self.commands.append(Checkpoint(session.id, meter.energised_ms, meter.running_ms, now))
        self._follow_access()

    def _follow_access(self) -> None:
        self.do(in_session.access_lost(self.machine))

    def _progress(self) -> None:
        at, session = self.machine.now.boot_ms, self._owner()
        meter = session.meter.read(at)
        self.machine = self.machine._replace(session=session._replace(meter=meter, progress_at=at + PROGRESS_MS))
        if self.machine.phase is not Phase.HANDING_OVER:
            counters = meter.energised_ms, meter.running_ms, meter.energy_wh, meter.running_unknown_ms
            self._record(Progress(session.id, session.member, session.badge, *counters))

    # --- small tools --------------------------------------------------------------------------------------------------

    def _record(self, *facts: Fact) -> int:
        self._token += 1
        self.commands.append(Record(self._token, facts, self.machine.now))
        return self._token

    def _counting_from(self, at_ms: int) -> Meter:
        return self.machine.count_work(Meter().energise(at_ms, self.machine.counted_wh))

    def _owner(self) -> Session:
        assert self.machine.session is not None
        return self.machine.session

    def _owner_alone(self) -> Session:
        """Return the session that has power, after cancelling a handover that is not on disk."""
        if self.machine.phase is Phase.HANDING_OVER:
            self._cancel_start()
        return self._owner()

    def _go(self, step: Step, *, session: Session | None, pending: Pending | None = None) -> None:
        """Take a step of the table. From then on `session` has power and `pending` waits.

        Raises LookupError for a step that the table does not have in this phase.
        """
        phase, rules = TABLE.get((self.machine.phase, step)), self.machine.rules
        if phase is None:
            raise LookupError(
                f"found the step {step.value!r} in the phase {self.machine.phase.value!r}, wanted a step of power.TABLE"
            )
        if phase is Phase.FREE and rules.mode is not self.machine.next_mode:
            rules = replace(rules, mode=self.machine.next_mode)
        self.machine = self.machine._replace(phase=phase, rules=rules, session=session, pending=pending)


def _first(timer: tuple[int, Callable[[], None]]) -> int:
    return timer[0]

"""Any events, in any order, at any time: the two rules hold, and so does everything that is built on them."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fabgate.rules import vocabulary
from fabgate.rules.access import decide
from fabgate.rules.gate import Gate
from fabgate.rules.machine import STATE_OF, Phase, Session
from tests.rules.observer import Observer
from tests.rules.panel_oracle import LIGHT, must_show
from tests.rules.world import NOON, people

# The same examples at every run, so that a red test stays red; FABGATE_SOAK looks further, at random.
_SOAK = int(os.environ.get("FABGATE_SOAK", "0"))
settings.register_profile(
    "rules",
    deadline=None,
    max_examples=2_000 * _SOAK if _SOAK else 120,
    stateful_step_count=60,
    derandomize=not _SOAK,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)

POWERED = {Phase.ACTIVE, Phase.HANDING_OVER, Phase.FINISHING_JOB, Phase.RUN_ON}
STARTING = {Phase.AWAIT_SUPERVISOR, Phase.AWAIT_JOURNAL}
OWN_RULES = {Phase.ACTIVE, Phase.HANDING_OVER}
BADGES = [*people(), "stranger", "other stranger"]

DURATIONS = [0, 1, 20, 500, 2_000, 2_999, 3_000, 3_001, 5_000, 10_000, 15_000, 30_000, 60_000, 130_000]
FATES = ["gone", "supervised", "barred", "lapsed", "swapped"]
LATCHED = [(), (), ("danger",), ("output", "report")]
LOCKS = [
    None,
    vocabulary.Lock("l-1", now=True, reason="belt broken"),
    vocabulary.Lock("l-2", now=False, reason="cleaning"),
]

durations = st.sampled_from(DURATIONS)


def rules_by(choose: Callable[[Sequence[Any]], Any]) -> vocabulary.MachineRules:
    """Make rules of which each is chosen by `choose`. What shortens sessions to nothing comes now and then only."""
    rarely = [False] * 7 + [True]
    return vocabulary.MachineRules(
        mode=choose(list(vocabulary.Mode)),
        limit_ms=1 if choose(rarely) else 60_000,
        max_ms=choose([120_000, 90_000]),
        idle_off_ms=0 if choose(rarely) else choose([None, 30_000]),
        warn_ms=choose([20_000, 0]),
        grace_ms=0 if choose(rarely) else 10_000,
        finishes_jobs=choose([True, False]),
        finish_max_ms=choose([40_000, 0]),
        run_on_ms=choose([15_000, 0]),
        warm_up_ms=choose([0, 40_000]),
        handover=choose([True, False]),
        supervision=choose(list(vocabulary.Supervision)),
        sponsor=choose([True, False]),
        refuses_when_stale=choose([True, False]),
        observe_until=choose([None, NOON + timedelta(minutes=2)]),
        lock=choose(LOCKS) if choose(rarely) else None,
    )


@st.composite
def machine_rules(draw: st.DrawFn) -> vocabulary.MachineRules:
    return rules_by(lambda options: draw(st.sampled_from(options)))


class AnyOrder(RuleBasedStateMachine):
    """One machine among people, a slow journal and bad luck."""

    mode: vocabulary.Mode | None = None
    handover: bool = False

    # --- the machine, and what the world knows about it ---

    @initialize(
        rules=machine_rules(),
        run_sense=st.booleans(),
        latched=st.sampled_from(LATCHED),
        slow=st.booleans(),
    )
    def install(self, rules: vocabulary.MachineRules, run_sense: bool, latched: tuple[str, ...], slow: bool) -> None:
        self.slow = slow
        self.people = people()
        rules = replace(rules, lock=None, mode=self.mode or rules.mode, handover=self.handover or rules.handover)
        self.all_rules = [rules]
        self.ids = 0
        self.gate = Gate(
            self.people.get, rules, new_id=self.new_id, run_sense=run_sense, checkpoint_ms=7_000, latched=iter(latched)
        )
        self.run_sense = run_sense
        self.ms = 50_000
        self.behind = False
        self.synced = True
        self.causes = {vocabulary.Cause.OUTPUT for word in latched if word == "output"}
        self.causes |= {vocabulary.Cause.FLAG for word in latched if word == "danger"}
        self.stale = False
        self.works = False
        self.queue: deque[vocabulary.Record] = deque()
        self.seen = Observer()
        self.in_field: str | None = None
        #: The reader failed since the card was put there.
        self.blind = False
        #: The badge and the member of the newest wait for a supervisor.
        self.asked: tuple[str, str | None] = ("", "")
        self.gone_since = self.ms
        self.owner_since = 0
        self.slack_ms = 0
        self.finishing_since: int | None = None

    def new_id(self) -> str:
        self.ids += 1
        return f"s{self.ids}"

    @property
    def now(self) -> vocabulary.Now:
        return vocabulary.Now(self.ms, NOON + timedelta(milliseconds=self.ms), self.synced)

    def most(self, name: str) -> int:
        return max(getattr(rules, name) for rules in self.all_rules)

    def least(self, name: str) -> int:
        return min(getattr(rules, name) for rules in self.all_rules)

    # --- one event ---

    def do(self, event: vocabulary.Event) -> list[vocabulary.Command]:
        before, audit = self.gate.phase, self.gate.rules.mode is vocabulary.Mode.AUDIT
        shown, rules, session, behind = self.gate.shown, self.gate.rules, self.gate.session, self.behind
        commands = self.gate.handle(event, self.now)
        # Another roster may bring an idle time of nothing, which no wire carries.
        if (
            before in OWN_RULES
            and session is not None
            and not behind
            and not isinstance(event, vocabulary.RosterChanged)
        ):
            self.ends_announced(commands, shown.kind, rules, session)
        self.behind = False
        after = self.gate.phase
        if audit and before is Phase.AWAIT_JOURNAL and after in POWERED:
            self.seen.took_over(self.ms)
        self.queue.extend(command for command in commands if isinstance(command, vocabulary.Record))
        self.facts_of_flags(commands)
        self.seen.watch(event, commands, self.ms, audit=audit)
        if isinstance(event, vocabulary.Committed) and before in (Phase.AWAIT_JOURNAL, Phase.HANDING_OVER):
            self.began(event.token)
        if vocabulary.SetPower(on=False) in commands and before in POWERED:
            limit_at = None if session is None or not behind else session.term.limit_at
            cut_at = None if session is None else session.term.cut_at
            may_finish = rules.finishes_jobs and self.gate.rules.finishes_jobs
            self.went_off(event, before, limit_at, cut_at, may_finish=may_finish)
        if after in OWN_RULES or after not in POWERED:
            self.finishing_since = None
        elif self.finishing_since is None:
            # A job may finish from the limit on, also if the gate was delayed and handles the limit late.
            self.finishing_since = self.ms if session is None else min(self.ms, session.term.limit_at)
        return commands

    def ends_announced(
        self,
        commands: list[vocabulary.Command],
        shown: vocabulary.SignalKind,
        rules: vocabulary.MachineRules,
        session: Session,
    ) -> None:
        """Check that an end by the clock was shown before, on a panel that did not have to say what a tap means."""
        times = {vocabulary.EndReason.LIMIT: session.term.limit_ms, vocabulary.EndReason.IDLE: rules.idle_off_ms or 0}
        for command in commands:
            for fact in command.facts if isinstance(command, vocabulary.Record) else ():
                if isinstance(fact, vocabulary.Ended) and min(rules.warn_ms, times.get(fact.reason, 0) // 4) > 0:
                    others = (vocabulary.SignalKind.GRACE, vocabulary.SignalKind.WAIT, vocabulary.SignalKind.FLAG_ASK)
                    assert shown in (vocabulary.SignalKind.WARNING, *others), "an end without a warning"

    def began(self, token: int) -> None:
        """Check a session against the world as it is at the moment when power rises or changes hands."""
        started = [fact for fact in self.seen.records[token].facts if isinstance(fact, vocabulary.Started)]
        if not started or self.gate.session is None or self.gate.session.id != started[0].session:
            return
        fact = started[0]
        if fact.continues is not None:
            return
        self.owner_since, self.slack_ms = self.ms, 0
        self.gone_since = self.ms
        maintainer = self.people.get(fact.badge)
        exempt: set[vocabulary.Cause] = set()
        if isinstance(maintainer, vocabulary.Member) and maintainer.level is vocabulary.Level.MAINTAINER:
            exempt.add(vocabulary.Cause.FLAG)
        if isinstance(maintainer, vocabulary.Emergency):
            exempt.add(vocabulary.Cause.STALE)
        assert self.causes <= exempt, "a start under a cause"
        rules = self.gate.rules
        if fact.supervisor == fact.member:
            assert rules.sponsor
        else:
            holder = self.people.get(fact.badge)
            assert holder is not None
            assert holder.id == fact.member, "power for another person"
            decision = decide(holder, rules=rules, causes=self.causes, stale=self.stale, now=self.now)
            assert decision.basis is not None
            assert fact.supervisor is not None or not decision.needs_supervisor
            assert decision.basis == fact.basis, "the record names another right"
            limit_ms = getattr(holder, "limit_ms", None) or rules.limit_ms
            assert self.gate.session.term.limit_at - self.ms <= min(limit_ms, rules.max_ms), "longer than allowed now"
        if fact.supervisor is not None:
            assert any(
                isinstance(holder, vocabulary.Member)
                and holder.id == fact.supervisor
                and holder.level.supervises
                and not holder.supervised
                for holder in self.people.values()
            )

    def went_off(
        self, event: vocabulary.Event, before: Phase, limit_at: int | None, cut_at: int | None, *, may_finish: bool
    ) -> None:
        """A running job is never cut, but for what must cut it.

        `limit_at` is set if the gate was delayed: both the limit and the time to finish may have passed meanwhile.
        `may_finish`: the rules let jobs finish, before the event and after it; a limit that is due when other rules come
        is one of the rules before.
        """
        cut = self.causes & vocabulary.CUT or isinstance(event, vocabulary.Stopping)
        if isinstance(event, vocabulary.Running):
            return  # either the job ended, or it begins after a deadline for which no tick came in time
        if cut or not (self.works and self.run_sense and may_finish):
            return
        if cut_at is not None and self.ms >= cut_at:
            return  # a job that began after a notice
        is_overdue = limit_at is not None and self.ms - limit_at >= self.least("finish_max_ms")
        assert before not in OWN_RULES or is_overdue or self.least("finish_max_ms") == 0, "a running job was cut"
        if before is Phase.FINISHING_JOB:
            assert self.finishing_since is not None
            assert self.ms - self.finishing_since >= self.least("finish_max_ms"), "a running job was cut"

    def facts_of_flags(self, commands: list[vocabulary.Command]) -> None:
        for command in commands:
            for fact in command.facts if isinstance(command, vocabulary.Record) else ():
                if isinstance(fact, vocabulary.Blocked) and fact.cause is vocabulary.Cause.FLAG:
                    self.causes.add(vocabulary.Cause.FLAG)
                elif isinstance(fact, vocabulary.Cleared) and fact.cause is vocabulary.Cause.FLAG:
                    self.causes.discard(vocabulary.Cause.FLAG)

    # --- time ---

    def pass_until(self, at_ms: int) -> None:
        working = self.works and self.gate.phase in (Phase.ACTIVE, Phase.HANDING_OVER, Phase.FINISHING_JOB)
        self.seen.passed(at_ms - self.ms, works=working)
        self.ms = at_ms

    def wait(self, ms: int) -> None:
        self.do(vocabulary.Tick())
        until = self.ms + ms
        while (due := self.gate.deadline()) is not None and due <= until:
            assert due > self.ms
            self.pass_until(due)
            self.do(vocabulary.Tick())
            self.holds()
        self.pass_until(until)

    @rule(ms=durations)
    def time_passes(self, ms: int) -> None:
        self.wait(ms)

    @rule()
    def the_next_deadline_comes(self) -> None:
        due = self.gate.deadline()
        if due is not None:
            self.wait(max(0, due - self.ms))

    @rule(ms=durations)
    def the_loop_stalls(self, ms: int) -> None:
        """The gate is not called for a while: it cannot act, and must catch up at the next event of any kind."""
        due = self.gate.deadline()
        self.slack_ms += max(0, self.ms + ms - due) if due is not None else 0
        self.pass_until(self.ms + ms)
        self.behind = True

    @rule(synced=st.booleans())
    def the_clock_is_or_is_not_synced(self, synced: bool) -> None:
        self.synced = synced

    # --- people ---

    @rule(badge=st.sampled_from(BADGES))
    def a_badge_is_put_on_the_reader(self, badge: str) -> None:
        self.lift()
        self.in_field, self.blind = badge, False
        before, holder = self.gate.phase, self.people.get(badge)
        commands = self.do(vocabulary.Presented(badge))
        if before is Phase.AWAIT_SUPERVISOR and holder is not None and not self.asks_for_supervisor(badge, holder):
            signals = [command.kind for command in commands if isinstance(command, vocabulary.Signal)]
            assert signals or self.gate.phase is not Phase.FREE, "a person is refused without a signal"
        if before is not self.gate.phase is Phase.AWAIT_SUPERVISOR and holder is not None:
            self.asked = (badge, holder.id)

    def asks_for_supervisor(self, badge: str, holder: vocabulary.Holder) -> bool:
        """Return whether a badge is that of the member who waits for a supervisor."""
        return badge == self.asked[0] or holder.id == self.asked[1]

    @rule(badge=st.sampled_from(["ada", "bob"]))
    def one_of_two_badges_is_put_on_the_reader(self, badge: str) -> None:
        self.a_badge_is_put_on_the_reader(badge)

    @precondition(lambda self: self.gate.session is not None)
    @rule()
    def the_owners_badge_is_put_on_the_reader(self) -> None:
        session = self.gate.session
        assert session is not None
        self.a_badge_is_put_on_the_reader(session.badge)

    @precondition(lambda self: self.gate.phase is Phase.FREE)
    @rule(badge=st.sampled_from(["ada", "ada", "bob", "kid", "sue", "max", "desk", "guest"]), ms=durations)
    def a_member_starts_on_a_free_machine(self, badge: str, ms: int) -> None:
        """What happens most in a workshop; without it the machine would stand blocked most of the time."""
        self.a_roster_with_everybody_comes()
        self.every_cause_is_cleared()
        self.synced = True
        if badge == "guest":
            self.a_badge_is_put_on_the_reader("stranger")
        self.a_badge_is_put_on_the_reader({"guest": "sue"}.get(badge, badge))
        if self.gate.phase is Phase.AWAIT_SUPERVISOR:
            self.a_badge_is_put_on_the_reader("sue")
        self.wait(min(ms, 3_000) if self.slow else 20)
        self.the_journal_confirms_everything()

    @precondition(lambda self: self.gate.phase is Phase.ACTIVE)
    @rule(badge=st.sampled_from(["ada", "bob", "max"]), ms=durations, way=st.integers(0, 4))
    def another_badge_comes_while_it_is_used(self, badge: str, ms: int, way: int) -> None:
        """A handover where the rules allow it, and each way in which it may turn out."""
        self.a_badge_is_put_on_the_reader(badge)
        self.wait(min(ms, 3_000))
        if way == 0:
            self.do(vocabulary.StopPressed())
        elif way == 1:
            self.lift()
        elif way > 2:
            self.the_journal_confirms_everything()

    @rule()
    def the_badge_is_lifted(self) -> None:
        self.lift()

    def lift(self) -> None:
        if self.in_field is not None:
            badge, self.in_field = self.in_field, None
            self.gone_since = self.ms
            self.do(vocabulary.Removed(badge))

    @rule()
    def a_card_is_not_read(self) -> None:
        self.do(vocabulary.Misread("two cards"))

    @rule(actor=st.sampled_from([None, "manager"]))
    def stop_is_pressed(self, actor: str | None) -> None:
        self.do(vocabulary.StopPressed(actor))

    @rule()
    def stop_cannot_be_read(self) -> None:
        self.do(vocabulary.StopPressed(known=False))
        assert self.gate.phase not in OWN_RULES

    @rule(down=st.booleans())
    def the_flag_button_moves(self, down: bool) -> None:
        self.do(vocabulary.FlagPressed(down))

    @rule()
    def the_flag_button_is_held(self) -> None:
        self.do(vocabulary.FlagPressed(True))
        self.wait(3_000)
        self.do(vocabulary.FlagPressed(False))

    @precondition(lambda self: self.run_sense)
    @rule()
    def the_machine_begins_or_ceases_to_work(self) -> None:
        self.works = not self.works
        self.do(vocabulary.Running(self.works))

    @rule(by_ms=durations)
    def a_manager_gives_more_time(self, by_ms: int) -> None:
        self.do(vocabulary.Extend(by_ms, "manager"))

    # --- bad luck ---

    @rule(cause=st.sampled_from(vocabulary.Cause))
    def a_cause_is_raised(self, cause: vocabulary.Cause) -> None:
        self.blind = self.blind or (cause is vocabulary.Cause.READER and cause not in self.causes)
        self.causes.add(cause)
        self.do(vocabulary.CauseRaised(cause))
        if cause in vocabulary.CUT and self.gate.rules.mode is not vocabulary.Mode.AUDIT:
            assert not self.seen.level

    @rule(cause=st.sampled_from(vocabulary.Cause))
    def a_cause_is_cleared(self, cause: vocabulary.Cause) -> None:
        self.blind = self.blind and cause is not vocabulary.Cause.READER
        self.causes.discard(cause)
        self.do(vocabulary.CauseCleared(cause))

    @rule()
    def no_checkpoint_reaches_the_disk(self) -> None:
        self.causes.add(vocabulary.Cause.JOURNAL)
        self.do(vocabulary.CheckpointLate())
        assert self.gate.phase not in OWN_RULES

    @rule()
    def every_cause_is_cleared(self) -> None:
        for cause in list(self.causes):
            self.a_cause_is_cleared(cause)

    @rule(rules=machine_rules(), stale=st.booleans())
    def a_roster_with_other_rules_comes(self, rules: vocabulary.MachineRules, stale: bool) -> None:
        self.roster(rules, stale=stale)

    @rule(badge=st.sampled_from(["ada", "bob", "sue", "kid"]), fate=st.sampled_from(FATES))
    def a_roster_with_other_people_comes(self, badge: str, fate: str) -> None:
        holder = self.people.pop(badge, None)
        if holder is None or fate == "barred":
            self.people[badge] = vocabulary.Barred(("blocked",), f"m-{badge}")
        elif fate == "lapsed":
            self.people[badge] = vocabulary.Barred(("training-expired",), holder.id)
        elif fate == "supervised":
            level = getattr(holder, "level", vocabulary.Level.USER)
            self.people[badge] = vocabulary.Member(f"m-{badge}", level=level, supervised=True)
        elif fate == "swapped":
            self.people[badge] = vocabulary.Member(f"m-new-{badge}")
        self.roster(self.all_rules[-1], stale=self.stale)

    @rule()
    def a_roster_with_everybody_comes(self) -> None:
        self.people.update(people())
        self.roster(replace(self.all_rules[-1], lock=None), stale=False)

    def roster(self, rules: vocabulary.MachineRules, *, stale: bool) -> None:
        self.all_rules.append(rules)
        self.stale = stale
        self.causes -= {vocabulary.Cause.LOCK_NOW, vocabulary.Cause.LOCK_AFTER_JOB, vocabulary.Cause.STALE}
        if stale and rules.refuses_when_stale:
            self.causes.add(vocabulary.Cause.STALE)
        if rules.lock is not None:
            self.causes.add(vocabulary.Cause.LOCK_NOW if rules.lock.now else vocabulary.Cause.LOCK_AFTER_JOB)
        self.do(vocabulary.RosterChanged(rules, stale))

    @rule()
    def the_daemon_stops(self) -> None:
        self.do(vocabulary.Stopping())
        assert self.gate.phase is Phase.FREE

    # --- the journal ---

    @precondition(lambda self: self.queue)
    @rule()
    def the_journal_confirms_one_record(self) -> None:
        self.do(vocabulary.Committed(self.queue.popleft().token))

    @precondition(lambda self: self.queue)
    @rule()
    def the_journal_confirms_everything(self) -> None:
        while self.queue:
            self.the_journal_confirms_one_record()

    # --- what always holds ---

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "gate"):
            return
        gate, phase = self.gate, self.gate.phase
        audit = gate.rules.mode is vocabulary.Mode.AUDIT
        assert gate.state == STATE_OF[phase]
        assert gate.powered is (phase in POWERED and not audit)
        assert self.seen.level is gate.powered
        assert (gate.session is not None) is (phase in POWERED)
        assert set(gate.causes) == self.causes
        self.owners_hold(phase)
        self.causes_hold(phase)
        self.deadlines_hold(phase)
        self.panel_holds(phase)

    def panel_holds(self, phase: Phase) -> None:
        """What is shown is what ``panel_oracle`` derives from what happened in the workshop."""
        shown, session = self.gate.shown, self.gate.session
        light = LIGHT[shown.kind]
        if shown.kind is not vocabulary.SignalKind.FLAG_ASK:
            assert light.startswith("green") is (phase in POWERED or phase is Phase.AWAIT_JOURNAL), "a wrong light"
        if self.behind:
            return  # the gate was not called for a while, so deadlines have passed that it could not act upon
        holder_empty = (
            self.gate.rules.mode is vocabulary.Mode.HOLD
            and session is not None
            and (self.in_field != session.badge or self.blind)
        )
        wanted = must_show(
            self.gate,
            self.ms,
            causes=self.causes,
            works=self.works,
            run_sense=self.run_sense,
            card_out=holder_empty,
        )
        assert shown.kind is wanted, f"shows {shown}, {wanted} is what is"
        if shown.kind is vocabulary.SignalKind.BLOCKED:
            assert shown.reasons == (min(self.causes, key=list(vocabulary.Cause).index),), "not the worst cause"
        if shown.until_ms is not None:
            assert shown.until_ms > self.ms, "a time left that is over"

    def owners_hold(self, phase: Phase) -> None:
        session = self.gate.session
        if phase in (Phase.FREE, Phase.AWAIT_SUPERVISOR):
            assert self.seen.open is None
        elif phase in (Phase.AWAIT_JOURNAL, Phase.HANDING_OVER):
            assert self.seen.open is not None
        else:
            assert session is not None
            assert self.seen.open == session.id

    def causes_hold(self, phase: Phase) -> None:
        if self.causes & vocabulary.CUT:
            assert phase is Phase.FREE
        if self.causes & vocabulary.END_WITH_NOTICE and phase in OWN_RULES:
            session = self.gate.session
            assert session is not None
            assert session.term.deadline_at is not None, "a lock without an end"
        if self.causes - {vocabulary.Cause.FLAG, vocabulary.Cause.STALE}:
            assert phase not in STARTING
            assert phase is not Phase.HANDING_OVER

    def deadlines_hold(self, phase: Phase) -> None:
        due = self.gate.deadline()
        if phase is not Phase.FREE:
            assert due is not None, "power for ever"
        if not self.behind and due is not None:
            assert due > self.ms, "a deadline that has passed"
        if phase in POWERED:
            most = self.most("max_ms") + self.most("finish_max_ms") + self.most("run_on_ms")
            assert self.ms - self.owner_since <= most + self.slack_ms, "power beyond every deadline"
        session, hold = self.gate.session, self.gate.rules.mode is vocabulary.Mode.HOLD
        if hold and phase in OWN_RULES and session is not None and self.in_field != session.badge and not self.behind:
            assert self.ms - self.gone_since < max(1, self.most("grace_ms")), "power for an empty holder"
        if hold and phase in OWN_RULES and session is not None and self.in_field == session.badge:
            assert self.blind or session.term.grace_until is None, "a card that is in its holder counts as removed"

    def teardown(self) -> None:
        """Let everyone leave and the disk recover; even with a run-sense input that flips all the time power must go off."""
        if not hasattr(self, "gate"):
            return
        self.do(vocabulary.Tick())
        for _ in range(400):
            due = self.gate.deadline()
            if due is None or self.gate.phase is Phase.FREE:
                break
            self.wait(max(1, (due - self.ms) // 2))
            if self.run_sense:
                self.the_machine_begins_or_ceases_to_work()
                self.holds()
        assert self.gate.phase is Phase.FREE
        while self.queue:
            self.the_journal_confirms_one_record()
        self.holds()
        assert self.seen.open is None
        assert set(self.seen.started) == self.seen.ended
        assert not self.seen.level


class AnyOrderWithHandover(AnyOrder):
    mode = vocabulary.Mode.TAP
    handover = True


class AnyOrderInHoldMode(AnyOrder):
    mode = vocabulary.Mode.HOLD


def a_day(seed: int, steps: int) -> None:
    """Run a machine through `steps` things that happen, most of them what mostly happens.

    Hypothesis finds the short and strange stories, and shortens them; this finds those that take a long day to build.
    """
    dice = random.Random(seed)
    machine = AnyOrder()
    flip = (True, False)
    machine.install(
        rules=rules_by(dice.choice),
        run_sense=dice.choice(flip),
        latched=dice.choice(LATCHED),
        slow=dice.choice(flip),
    )
    happenings: list[tuple[int, Callable[[], object]]] = [
        (12, lambda: machine.time_passes(ms=dice.choice(DURATIONS))),
        (8, machine.the_next_deadline_comes),
        (2, lambda: machine.the_loop_stalls(ms=dice.choice(DURATIONS))),
        (1, lambda: machine.the_clock_is_or_is_not_synced(synced=dice.choice(flip))),
        (8, lambda: machine.a_badge_is_put_on_the_reader(badge=dice.choice(BADGES))),
        (6, machine.the_badge_is_lifted),
        (1, machine.a_card_is_not_read),
        (2, lambda: machine.stop_is_pressed(actor=dice.choice([None, "manager"]))),
        (1, lambda: machine.the_flag_button_moves(down=dice.choice(flip))),
        (2, machine.the_flag_button_is_held),
        (2, lambda: machine.a_manager_gives_more_time(by_ms=dice.choice(DURATIONS))),
        (2, lambda: machine.a_cause_is_raised(cause=dice.choice(list(vocabulary.Cause)))),
        (1, lambda: machine.a_cause_is_cleared(cause=dice.choice(list(vocabulary.Cause)))),
        (1, machine.every_cause_is_cleared),
        (2, lambda: machine.a_roster_with_other_rules_comes(rules=rules_by(dice.choice), stale=dice.choice(flip))),
        (1, lambda: machine.a_roster_with_other_people_comes(badge=dice.choice(BADGES[:5]), fate=dice.choice(FATES))),
        (1, machine.a_roster_with_everybody_comes),
        (1, machine.the_daemon_stops),
    ]
    if machine.run_sense:
        happenings.append((8, machine.the_machine_begins_or_ceases_to_work))
    weights, actions = [weight for weight, _ in happenings], [action for _, action in happenings]
    for _ in range(steps):
        if machine.queue and dice.random() < 0.3:
            machine.the_journal_confirms_one_record()
        elif machine.gate.phase is Phase.FREE and dice.random() < 0.3:
            badge = dice.choice(["ada", "bob", "kid", "sue", "max", "desk", "guest"])
            machine.a_member_starts_on_a_free_machine(badge=badge, ms=dice.choice(DURATIONS))
        elif machine.gate.phase is Phase.ACTIVE and dice.random() < 0.1:
            badge, way = dice.choice(["ada", "bob", "max"]), dice.randrange(5)
            machine.another_badge_comes_while_it_is_used(badge=badge, ms=dice.choice(DURATIONS), way=way)
        elif machine.gate.session is not None and dice.random() < 0.1:
            machine.the_owners_badge_is_put_on_the_reader()
        else:
            dice.choices(actions, weights)[0]()
        machine.holds()
    machine.teardown()


@pytest.mark.chance
@pytest.mark.parametrize("part", range(4))
def test_the_rules_hold_through_long_days(part):
    days = 1_000 * _SOAK if _SOAK else 60
    first = random.randrange(1_000_000_000) if _SOAK else part * days
    for seed in range(first, first + days):
        try:
            a_day(seed, 250)
        except AssertionError as error:
            error.add_note(f"to see it again: a_day({seed}, 250)")
            raise


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings.get_profile("rules")
TestAnyOrderWithHandover = AnyOrderWithHandover.TestCase
TestAnyOrderWithHandover.settings = settings.get_profile("rules")
TestAnyOrderInHoldMode = AnyOrderInHoldMode.TestCase
TestAnyOrderInHoldMode.settings = settings.get_profile("rules")

"""Notices in any order: a small model of decision 52 says what must happen, and knows nothing of the gate's inside.

It has its own calendar, its own idea of what the machine does, and the first cause of each session. Three things it checks
after each look at the clock and each event: no power beyond the deadline, but for a job that ran when the cause came; no
end before it that nobody caused; and on a machine without an input everything as it always was.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import S, World

_SOAK = int(os.environ.get("FABGATE_SOAK", "0"))
DAYS = 5_000 * _SOAK if _SOAK else 40

POWERED = ("active", "handing-over", "finishing-job", "run-on")
EVERY_DAY = frozenset(range(1, 8))
SOFT = ("training-expired", "training-missing", "expired")
HARD = ("payment-due", "suspended", "badge-lost")


@dataclass
class Notice:
    """What the model knows of one session since its first cause: `spares` is whether a job that ran then still runs."""

    deadline_ms: int
    spares: bool
    still_since_ms: int = 0


class Workshop:
    """One machine, its member Ada, and what chance does to both."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        choose = self.dice.choice
        self.run_sense = choose((True, True, True, False))
        self.warn_ms = choose((0, 40 * S, 120 * S, 600 * S))
        self.run_on_ms = choose((0, 0, 20 * S, 200 * S))
        self.world = World(
            run_sense=self.run_sense,
            mode=choose((vocabulary.Mode.TAP, vocabulary.Mode.TAP, vocabulary.Mode.TIMED, vocabulary.Mode.HOLD)),
            warn_ms=self.warn_ms,
            limit_ms=choose((300 * S, 3_600 * S)),
            max_ms=7_200 * S,
            idle_off_ms=choose((None, 200 * S)) if self.run_sense else None,
            finishes_jobs=choose((True, True, False)),
            finish_max_ms=choose((0, 60 * S, 900 * S)),
            run_on_ms=self.run_on_ms,
        )
        self.closes_min = 24 * 60
        self.last_day: date | None = None
        self.until_reason = choose(("expired", "training-expired", "loan-over", "no-access"))
        self.barred: tuple[str, ...] = ()
        self.is_known = True
        self.locked = False
        self.pin = self.meter = self.is_broken = False
        self.notice: Notice | None = None
        self.session: object = None
        self.people()

    # --- what is true, by the model alone ---

    @property
    def works(self) -> bool:
        return self.pin or self.meter or self.is_broken

    @property
    def rights_ended(self) -> bool:
        """Whether hours, dates or a training ended, and nothing worse is against Ada."""
        return not self.is_worse and (bool(self.barred) or self.is_past)

    @property
    def is_worse(self) -> bool:
        return not self.is_known or any(reason in HARD for reason in self.barred)

    @property
    def is_past(self) -> bool:
        local = self.world.now.local
        if local is None:
            return False
        is_closed = local.hour * 60 + local.minute >= self.closes_min
        return is_closed or (self.last_day is not None and local.date() > self.last_day)

    def judge(self, *, caused: bool) -> None:  # noqa: C901 - one claim after the other
        """Follow the session, and check the power. `caused`: a person or something worse may have ended it."""
        world, gate = self.world, self.world.gate
        owner = None if gate.session is None else gate.session.id
        if owner != self.session:
            self.session, self.notice = owner, None
        if owner is None:
            assert not world.power
            return
        if self.run_sense and self.notice is None and (self.locked or self.rights_ended):
            self.notice = Notice(world.ms + min(max(self.warn_ms, 30 * S), 120 * S), spares=self.works)
            if not self.works and world.phase == "active":
                assert caused or world.power, "the machine stood still, and got no notice"
        if not self.run_sense:
            assert gate.session is not None
            assert gate.session.term.deadline_at is None, "a notice without an input"
            assert not self.locked or world.phase != "active", "without an input a lock waits for nothing"
        if self.notice is None:
            return
        if self.notice.spares and not self.works:
            self.notice = Notice(self.notice.deadline_ms, spares=False, still_since_ms=world.ms)
        if self.notice.spares:
            assert world.phase != "active", "a job that ran is finished, or cut where the rules say so"
        elif world.ms >= self.notice.deadline_ms:
            fan_until_ms = max(self.notice.deadline_ms, self.notice.still_since_ms) + self.run_on_ms
            assert world.phase == "run-on", "power beyond the deadline"
            assert not self.works, "work beyond the deadline"
            assert world.ms < fan_until_ms, "the fan runs beyond its time"
        else:
            shown = gate.shown
            assert shown.until_ms is not None
            if shown.detail == vocabulary.DEADLINE:
                assert shown.until_ms <= self.notice.deadline_ms, "the panel promises more than the deadline"
            elif world.phase == "active":
                assert shown.kind in (vocabulary.SignalKind.GRACE, vocabulary.SignalKind.FLAG_ASK)

    # --- events ---

    def do(self, event: vocabulary.Event, *, caused: bool = False) -> None:
        world = self.world
        was_active, notice = world.phase == "active", self.notice
        world.do(event)
        self.judge(caused=caused)
        if was_active and world.phase != "active" and not caused and not self.is_worse and self.run_sense:
            session = world.gate.session
            reason = str(session.end_reason) if session is not None else world.ends()[-1][1]
            is_over = notice is not None and world.ms >= notice.deadline_ms
            is_finished = notice is None and self.works and (self.locked or self.rights_ended)
            assert is_over or is_finished or reason in ("limit", "idle", "removed"), f"it ended early: {reason}"

    def wait(self, ms: int) -> None:
        """Let time pass as the daemon does: a look at each deadline, and one a second."""
        world, until = self.world, self.world.ms + ms
        while world.ms < until:
            due = world.gate.deadline()
            world.ms = min(until, world.ms + S, world.ms + S if due is None else max(due, world.ms + 1))
            self.do(vocabulary.Tick())

    def people(self) -> None:
        hours = (vocabulary.Window(EVERY_DAY, 0, self.closes_min),)
        if not self.is_known:
            self.world.people.pop("ada", None)
        elif self.barred:
            self.world.people["ada"] = vocabulary.Barred(self.barred, "m-ada", windows=hours)
        else:
            self.world.people["ada"] = vocabulary.Member(
                "m-ada", windows=hours, valid_until=self.last_day, until_reason=self.until_reason
            )

    def roster(self, *, caused: bool = False) -> None:
        self.people()
        lock = vocabulary.Lock("l", now=False) if self.locked else None
        self.world.rules = vocabulary.MachineRules(
            **{**{key: getattr(self.world.rules, key) for key in self.world.rules.__slots__}, "lock": lock}
        )
        self.do(vocabulary.RosterChanged(self.world.rules), caused=caused)

    def step(self) -> None:  # noqa: C901, PLR0915 - one case for each thing that may happen
        dice, world = self.dice, self.world
        active_still = world.phase == "active" and self.run_sense and not self.works
        match dice.randrange(17):
            case 0 | 1 | 2 | 3:
                self.wait(dice.choice((S, 7 * S, 29 * S, 31 * S, 119 * S, 121 * S)))
            case 4 | 5:
                given = self.notice is not None
                self.do(vocabulary.Presented("ada"), caused=True)
                if active_still and given and world.rules.mode is not vocabulary.Mode.HOLD:
                    assert world.phase in ("run-on", "free"), "a tap after the notice ends the session"
                self.do(vocabulary.Removed("ada"), caused=True)
                world.commit()
                self.judge(caused=True)
            case 6:
                self.do(vocabulary.StopPressed(dice.choice((None, None, "boss"))), caused=True)
                assert not active_still or world.phase in ("run-on", "free"), "the stop button ends at once"
            case 16:
                waits = world.rules.finishes_jobs and world.rules.finish_max_ms > 0
                jobs = self.run_sense and self.works and waits
                finishes = jobs and world.rules.mode is not vocabulary.Mode.AUDIT and world.phase == "active"
                self.do(vocabulary.StopPressed(known=False), caused=True)
                assert world.phase != "active"
                if finishes and self.notice is None:
                    assert world.phase == "finishing-job", (
                        "a button that cannot be read overrules no part that reports work"
                    )
            case 7 | 8 if self.run_sense:
                self.pin = dice.choice((True, False))
                self.do(vocabulary.Running(self.pin), caused=True)
            case 9 if self.run_sense:
                self.meter = dice.choice((True, False))
                if not self.is_broken:
                    self.do(vocabulary.Running(self.meter, "meter"), caused=True)
            case 10 if self.run_sense:
                self.do(vocabulary.MeterWorks("meter") if self.is_broken else vocabulary.MeterFailed("meter"))
                self.is_broken, self.meter = not self.is_broken, True
                self.do(vocabulary.Running(True, "meter"))
            case 11:
                self.do(vocabulary.Extend(600 * S, "boss"))
            case 12:
                self.locked = dice.choice((True, False))
                self.roster()
            case 13:
                self.closes_min = dice.choice((12 * 60 + 5, 12 * 60 + 30, 13 * 60, 24 * 60))
                self.last_day = dice.choice((None, None, world.now.local.date() if world.now.local else None))
                self.barred = (dice.choice((*SOFT, *HARD)),) if dice.random() < 0.2 else ()
                self.is_known = dice.random() < 0.9
                self.roster(caused=self.is_worse)
                assert not (active_still and self.is_worse) or world.phase in ("run-on", "free"), "blocked: no notice"
            case 14:  # the wall clock jumps
                world.noon += timedelta(minutes=dice.choice((-600, -60, -1, 1, 60, 700, 1_440)))
                self.do(vocabulary.Tick())
            case 15:
                cause = dice.choice(sorted(vocabulary.CUT))
                if dice.random() < 0.3:
                    self.do(vocabulary.CauseRaised(cause), caused=True)
                    assert not world.power, "what cuts waits for nothing"
                    self.do(vocabulary.CauseCleared(cause), caused=True)


@pytest.mark.chance
@pytest.mark.parametrize("part", range(4))
def test_a_notice_is_given_once_and_postponed_by_nothing(part: int) -> None:
    first = random.randrange(1_000_000_000) if _SOAK else part * DAYS
    notices = 0
    for seed in range(first, first + DAYS):
        workshop = Workshop(seed)
        try:
            for _ in range(120):
                workshop.step()
                notices += workshop.notice is not None
        except AssertionError as error:
            error.add_note(f"to see it again: Workshop({seed}), and step() until it fails")
            raise
    assert notices > DAYS, "chance gave hardly any notice"

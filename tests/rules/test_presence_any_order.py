"""Anything a reader may read, in any order: no power without an arrival, and a card that is only there never arrives.

The oracle below knows nothing of how ``Presence`` works. It looks through the whole history of polls and applies the
definition alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.rules import vocabulary
from fabgate.rules.gate import Gate
from fabgate.rules.presence import PAUSE_MS, Presence
from tests.rules.world import NOON, people

EMPTY_MS = 600
ADA = "ada"


@dataclass(frozen=True)
class Poll:
    """What one poll found: a badge, "empty", "torn" (a card that cannot be read) or "error" (the reader failed)."""

    at_ms: int
    found: str


def arrives(history: Sequence[Poll]) -> bool:
    """Whether the last poll of `history` reads a card that was not read since the field was last empty."""
    badge = history[-1].found
    if badge in ("empty", "torn", "error"):
        return False
    run: list[Poll] = []  # empty polls, from the latest backwards
    empty_ms = 0
    for poll in reversed(history[:-1]):
        if poll.found == "empty":
            if run:
                empty_ms += min(run[-1].at_ms - poll.at_ms, PAUSE_MS)
            run.append(poll)
            if empty_ms >= EMPTY_MS:
                return True
        elif poll.found in (badge, "error"):
            return False
        else:
            run, empty_ms = [], 0
    return False


def feed(presence: Presence, poll: Poll) -> list[vocabulary.Event]:
    match poll.found:
        case "empty":
            return presence.nothing(poll.at_ms)
        case "torn":
            return presence.misread("torn", poll.at_ms)
        case "error":
            return presence.lost()
        case badge:
            return presence.saw(badge, poll.at_ms)


#: Runs of equal polls: what was found, how often, and how far apart in milliseconds.
runs = st.tuples(
    st.sampled_from(["empty", "empty", "torn", "error", ADA, ADA, "bob", "kid", "sue", "stranger"]),
    st.integers(1, 16),
    st.sampled_from([40, 50, 120, 700]),
)


def polls(script: Sequence[tuple[str, int, int]], at_ms: int = 1_000) -> list[Poll]:
    found = []
    for what, times, apart_ms in script:
        for _ in range(times):
            at_ms += apart_ms
            found.append(Poll(at_ms, what))
    return found


@given(st.lists(runs, max_size=14))
def test_a_card_is_presented_exactly_when_the_definition_says_that_it_arrives(script):
    presence, history = Presence(), []
    for poll in polls(script):
        history.append(poll)
        presented = vocabulary.Presented(poll.found) in feed(presence, poll)
        assert presented is arrives(history), history


@given(st.lists(runs, max_size=14))
def test_cards_come_and_go_in_turn(script):
    """Each card that came is removed before the next one, and what was removed had come."""
    presence, here = Presence(), None
    for poll in polls(script):
        for event in feed(presence, poll):
            if isinstance(event, vocabulary.Presented | vocabulary.Lying):
                assert here is None
                here = event.badge
            elif isinstance(event, vocabulary.Removed):
                assert event.badge == here
                here = None
        if poll.found == "error":
            assert here is None
        elif poll.found not in ("empty", "torn"):
            assert here == poll.found


class Machine:
    """A gate behind a reader, with a journal that confirms at once. It knows what is on the reader only by polls."""

    def __init__(self, mode: vocabulary.Mode) -> None:
        self.rules = vocabulary.MachineRules(mode=mode, handover=True, sponsor=True, limit_ms=60_000, grace_ms=2_000)
        self.history: list[Poll] = []
        self.power = False
        self.starts: list[tuple[str, bool]] = []
        self._start()

    def _start(self) -> None:
        ids = iter(range(1_000_000))
        self.gate = Gate(people().get, self.rules, new_id=lambda: f"s{next(ids)}", run_sense=False)
        self.presence = Presence()
        self.power = False

    def restart(self) -> None:
        """Kill the gate and start it again: it knows nothing of before."""
        self.history.append(Poll(self.history[-1].at_ms if self.history else 0, "error"))
        self._start()

    def poll(self, poll: Poll) -> None:
        self.history.append(poll)
        now = vocabulary.Now(poll.at_ms, NOON, True)
        events = [*feed(self.presence, poll), vocabulary.Tick()]
        for event in events:
            waiting = list(self.gate.handle(event, now))
            while waiting:
                command = waiting.pop(0)
                if isinstance(command, vocabulary.SetPower):
                    self.power = command.on
                elif isinstance(command, vocabulary.Record):
                    self.starts += [
                        (fact.badge, arrives(self.history))
                        for fact in command.facts
                        if isinstance(fact, vocabulary.Started) and fact.continues is None
                    ]
                    waiting += self.gate.handle(vocabulary.Committed(command.token), now)


@pytest.mark.parametrize("mode", [vocabulary.Mode.TAP, vocabulary.Mode.HOLD, vocabulary.Mode.TIMED])
@given(script=st.lists(st.one_of(runs, st.just(("restart", 1, 50))), max_size=20))
def test_each_session_begins_with_an_arrival(mode, script):
    machine = Machine(mode)
    for poll in polls(script):
        if poll.found == "restart":
            machine.restart()
        else:
            machine.poll(poll)
    assert all(arrived for _, arrived in machine.starts), machine.starts


#: What may be read while Ada's card lies on the reader all the time: her card, another one held over it, something that
#: cannot be read, a reader that fails, a gate that is killed, and misses too short for an empty field.
over_a_lying_card = st.one_of(
    st.tuples(st.just(ADA), st.integers(1, 30), st.just(50)),
    st.tuples(st.just("bob"), st.integers(1, 30), st.just(50)),
    st.tuples(st.just("torn"), st.integers(1, 60), st.just(50)),
    st.tuples(st.just("empty"), st.integers(1, 12), st.just(50)),
    st.tuples(st.just("error"), st.integers(1, 2), st.just(50)),
    st.just(("restart", 1, 50)),
)


@pytest.mark.parametrize("mode", [vocabulary.Mode.TAP, vocabulary.Mode.HOLD, vocabulary.Mode.TIMED])
@pytest.mark.parametrize("begins_with", ["a start", "a session"])
@given(script=st.lists(over_a_lying_card, max_size=20))
def test_a_card_that_only_lies_there_begins_no_session(mode, begins_with, script):
    machine = Machine(mode)
    before = [] if begins_with == "a start" else polls([("empty", 20, 50), (ADA, 4, 50)])
    for poll in before:
        machine.poll(poll)
    expected = len(machine.starts)
    merged = [run for n, run in enumerate(script) if not (run[0] == "empty" and n and script[n - 1][0] == "empty")]
    for poll in polls(merged, at_ms=machine.history[-1].at_ms if machine.history else 1_000):
        if poll.found == "restart":
            machine.restart()
        else:
            machine.poll(poll)
    assert [badge for badge, _ in machine.starts[expected:] if badge == ADA] == []

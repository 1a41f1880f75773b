"""Several readers at one machine: a fob with two chips, the reader with the holder, and the fault of one of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.rules import vocabulary
from fabgate.rules.readers import ECHO_MS
from tests.rules.world import MIN, S, World

#: A fob with two chips: the badge that the first reader sees, and that of the second one.
FOB = ("ada", "ada's phone")
BOTH = [True, False]
HOLD = vocabulary.Mode.HOLD
READER = vocabulary.Cause.READER


def of_two(*, continuous: list[bool] = BOTH, **rules: Any) -> World:
    return World(continuous=continuous, **{"finishes_jobs": False, **rules})


def fails(world: World, reader: int) -> list[str]:
    return world.do(vocabulary.ReaderFailed(reader, f"reader {reader} is gone"))


def works(world: World, reader: int) -> list[str]:
    return world.do(vocabulary.ReaderWorks(reader))


# --- a fob with two chips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_a_fob_that_both_readers_read_starts_one_session_and_ends_it_later_on_either(first):
    world = of_two()
    world.tap(FOB[first], first)
    assert world.tap(FOB[1 - first], 1 - first) == [], "it would cancel the start"
    world.commit()
    assert world.after(ECHO_MS) == []
    assert world.tap(FOB[1 - first], 1 - first) == []
    world.after(1)
    assert world.tap(FOB[1 - first], 1 - first)[0] == "off"
    assert world.tap(FOB[first], first) == [], "it would start another session"
    assert [fact.reason for fact in world.facts if isinstance(fact, vocabulary.Ended)] == ["badge"]


def test_the_same_reader_and_the_badge_of_another_member_are_judged_as_always():
    world = of_two(handover=True).start()
    assert world.tap("bob", 1) == ["record ended s1 handover 0 + started s2", "show wait"]
    world.commit()
    assert world.tap("ada", 0) == ["record ended s2 handover 0 + started s3", "show wait"]
    world.commit()
    world.after(1 * S)
    assert world.tap("ada", 0)[0] == "off"


def test_a_supervisor_consents_on_the_other_reader():
    world = of_two()
    assert world.tap("kid", 0) == ["show supervisor-needed"]
    assert world.tap("kid", 1) == [], "the same card on both readers"
    assert world.tap("sue", 1) == ["record started s1", "show wait"]


def test_only_a_tap_that_counted_has_an_echo():
    world = of_two().start()
    for _ in range(3):
        world.after(ECHO_MS // 2)
        world.tap(FOB[1], 1)
    assert not world.power, "the third one came more than three seconds after the tap that counted"


# --- which card is in the holder --------------------------------------------------------------------------------------


def test_in_hold_mode_only_the_reader_with_the_holder_starts_and_its_card_alone_ends():
    world = of_two(continuous=[True, True], mode=HOLD)
    assert world.tap("ada", 1) == ["record refused not-in-holder", "signal refused"]
    world.tap("ada", 0)  # at once, as it was told
    world.commit()
    assert world.power
    world.do(vocabulary.Lying(FOB[1], 1))
    assert world.lift("ada", 1) + world.lift(FOB[1], 1) + world.after(MIN) == []
    assert world.tap(FOB[1], 1) == [], "a fob in the holder is near the other reader, too"
    assert world.tap("bob", 1) == ["record refused in-use", "signal refused"]
    assert fails(world, 1) == []
    assert world.lift("ada", 0) == ["show grace"]
    world.do(vocabulary.Lying("ada", 1))
    assert world.after(10 * S)[0] == "off"


def test_a_card_beside_the_holder_is_not_back_in_it_and_ends_the_session():
    world = of_two(continuous=[True, True], mode=HOLD, holder=1)
    world.tap("ada", 1)
    world.commit()
    world.after(MIN)
    world.lift("ada", 1)
    assert world.tap("ada", 0)[0] == "off"
    assert world.ends()[0][1] == "badge"


def test_a_sponsor_taps_beside_the_guest_whose_card_is_in_the_holder():
    world = of_two(mode=HOLD, sponsor=True)
    world.tap("stranger", 0)
    assert world.tap("sue", 1) == ["record started s1", "show wait"]
    world.commit()
    assert world.after(MIN) == []
    assert world.power


def test_nobody_takes_over_and_no_fan_is_cut_beside_the_holder():
    world = of_two(mode=HOLD, handover=True, run_on_ms=MIN)
    world.tap("ada", 0)
    world.commit()
    assert world.tap("bob", 1) == ["record refused not-in-holder", "signal refused"]
    world.stop()
    assert world.tap("max", 1) == ["record refused not-in-holder", "signal refused"]
    assert world.power


def test_only_a_reader_that_proves_presence_takes_a_badge_for_held():
    for reader, expected in ((0, ["show flag-ask"]), (1, [])):
        world = of_two().start()
        world.after(5 * S)
        world.tap(FOB[reader], reader)
        assert world.after(5 * S) == expected


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_machine_is_blocked_once_all_readers_have_a_fault():
    world = of_two()
    assert fails(world, 1) == []
    world.tap("ada", 0)
    world.commit()
    assert fails(world, 0) == ["record blocked reader"]
    assert world.power
    assert works(world, 1) == ["record cleared reader"]
    assert world.tap("ada", 1) == []
    world.after(ECHO_MS + 1)
    assert world.tap("ada", 1)[0] == "off"


def test_what_a_reader_with_a_fault_reads_starts_nothing_and_still_ends_a_session():
    world = of_two(handover=True)
    fails(world, 1)
    assert world.tap("ada", 1) == ["record refused blocked-reader", "signal refused"]
    world.tap("bob", 0)
    world.commit()
    assert world.tap("max", 1) == ["record refused blocked-reader", "signal refused"], "it would take over"
    assert world.power
    world.after(ECHO_MS + 1)
    assert world.tap("bob", 1)[0] == "off"
    world.tap("kid", 0)
    assert world.tap("sue", 1) == ["record refused blocked-reader", "signal refused"], "it would consent"


def test_in_hold_mode_the_fault_of_the_holders_reader_blocks_and_ends_after_the_grace():
    world = of_two(mode=HOLD)
    world.tap("ada", 0)
    world.commit()
    world.after(MIN)
    assert fails(world, 0) == ["record blocked reader", "show grace"]
    assert world.tap(FOB[1], 1) == []
    assert world.tap("bob", 1) == ["record refused blocked-reader,in-use", "signal refused"]
    assert world.after(10 * S)[0] == "off", "no tap beside it proves that the card is in the holder"
    assert world.tap("bob", 1) == ["record refused blocked-reader", "signal refused"]


def test_another_mode_needs_other_readers():
    world = of_two(limit_ms=MIN, warn_ms=0).start()
    fails(world, 0)
    assert world.roster(mode=HOLD) == [], "a session keeps its mode"
    assert world.after(MIN)[-2:] == ["record blocked reader", "show blocked"]
    assert world.roster(mode=vocabulary.Mode.TAP) == ["record cleared reader", "show free"]


def test_a_fault_that_ends_a_session_blocks_no_mode_that_needs_another_reader():
    world = of_two(mode=HOLD, grace_ms=0)
    world.tap("ada", 0)
    world.commit()
    world.roster(mode=vocabulary.Mode.TAP)
    assert fails(world, 0) == [
        "off",
        "record blocked reader",
        "record ended s1 removed 0",
        "signal ended",
        "record cleared reader",
        "show free",
    ]


# --- any order --------------------------------------------------------------------------------------------------------

PEOPLE = ["ada", "ada's phone", "bob", "kid", "sue", "max", "eve", "desk", "stranger"]
readers = st.integers(0, 1)
events = st.one_of(
    st.tuples(st.just("tap"), st.sampled_from(PEOPLE), readers),
    st.tuples(st.just("fob"), st.sampled_from([0, 1, 100, ECHO_MS]), readers),
    st.tuples(st.just("lift"), st.sampled_from(PEOPLE), readers),
    st.tuples(st.just("fault"), st.booleans(), readers),
    st.tuples(st.just("wait"), st.sampled_from([1, 100, 1 * S, ECHO_MS, ECHO_MS + 1, 20 * S]), st.none()),
    st.tuples(st.just("commit"), st.none(), st.none()),
)
few = settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class Pair:
    """A machine with two readers, and one with a single reader that gets what should count."""

    def __init__(self, **rules: Any) -> None:
        self.two = of_two(continuous=[True, True], **rules)
        self.one = of_two(continuous=[True], **rules)
        self.counted: dict[str, tuple[int, int]] = {}
        self.broken: set[int] = set()

    def expect(self, found: list[str], expected: list[str]) -> None:
        assert found == expected

    def tap(self, badge: str, reader: int) -> list[str]:
        """Tap a badge; return what both machines did, which is nothing for an echo."""
        holder = self.two.people.get(badge)
        who = getattr(holder, "id", None) or badge
        last = self.counted.get(who, (reader, 0))
        if last[0] != reader and self.two.ms - last[1] <= ECHO_MS:
            before = self.two.gate.phase
            self.expect(self.two.tap(badge, reader), [])
            assert self.two.gate.phase is before
            return []
        if self.broken == {reader}:
            return []  # what it may still do is below
        self.counted[who] = (reader, self.two.ms)
        found = self.two.tap(badge, reader)
        self.expect(found, self.one.tap(badge))
        return found

    def fault(self, reader: int, *, broken: bool) -> None:
        before = self.broken == {0, 1}
        self.broken = self.broken | {reader} if broken else self.broken - {reader}
        found = (fails if broken else works)(self.two, reader)
        if before is (self.broken == {0, 1}):
            self.expect(found, [])
        else:
            self.expect(found, self.one.happens(READER) if not before else self.one.is_over(READER))

    def do(self, what: str, value: Any, reader: Any) -> None:
        match what:
            case "tap":
                self.tap(value, reader)
            case "fob":
                first = self.tap(FOB[reader], reader)
                self.expect(self.two.after(value), self.one.after(value))
                second = self.tap(FOB[1 - reader], 1 - reader)
                assert not (first and second), "one tap is judged twice"
            case "lift":
                self.expect(self.two.lift(value, reader), self.one.lift(value))
            case "fault":
                self.fault(reader, broken=value)
            case "wait":
                self.expect(self.two.after(value), self.one.after(value))
            case "commit":
                self.expect(self.two.commit(), self.one.commit())


@few
@given(
    script=st.lists(events, max_size=40),
    mode=st.sampled_from([vocabulary.Mode.TAP, vocabulary.Mode.TIMED]),
    handover=st.booleans(),
    sponsor=st.booleans(),
)
def test_two_readers_are_one_reader_without_echoes_and_with_its_fault_if_both_fail(script, mode, handover, sponsor):
    pair = Pair(mode=mode, handover=handover, sponsor=sponsor)
    for step in script:
        pair.do(*step)


@few
@given(script=st.lists(events, max_size=40), handover=st.booleans())
def test_what_lies_and_fails_beside_the_holder_changes_nothing_in_hold_mode(script, handover):
    pair = Pair(mode=HOLD, handover=handover)
    for what, value, reader in script:
        if reader == 1:
            phase, session = pair.two.gate.phase, pair.two.gate.session
            found = {
                "lift": lambda value=value: pair.two.lift(value, 1),
                "fault": lambda value=value: (fails if value else works)(pair.two, 1),
            }.get(what, lambda value=value: pair.two.do(vocabulary.Lying(str(value), 1)))()
            assert found == []
            assert (pair.two.gate.phase, pair.two.gate.session) == (phase, session)
        elif what == "fault":
            was = READER in pair.two.gate.causes
            found = (fails if value else works)(pair.two, 0)
            same = was is value
            pair.expect(found, [] if same else (pair.one.happens if value else pair.one.is_over)(READER))
        elif what != "fob":
            pair.do(what, value, reader)


@few
@given(script=st.lists(events, max_size=40), handover=st.booleans(), sponsor=st.booleans())
def test_no_power_rises_by_a_tap_on_a_reader_with_a_fault(script, handover, sponsor):
    world, broken = of_two(handover=handover, sponsor=sponsor), {0: False, 1: False}
    for what, value, reader in script:
        if what == "tap":
            before = len(world.facts)
            world.tap(value, reader)
            if broken[reader]:
                assert not [fact for fact in world.facts[before:] if isinstance(fact, vocabulary.Started)]
        elif what == "fault":
            broken[reader] = value
            (fails if value else works)(world, reader)
        elif what == "wait":
            world.after(value)
        elif what == "commit":
            world.commit()


def test_a_tap_on_a_reader_with_a_fault_gives_no_time_and_clears_no_fault():
    timed = of_two(mode=vocabulary.Mode.TIMED, limit_ms=20 * MIN).start()
    fails(timed, 0)
    timed.after(10 * MIN)
    assert timed.tap("ada", 0) == ["record refused blocked-reader", "signal refused"]
    assert "off" in timed.after(10 * MIN)
    welded = of_two()
    welded.happens(vocabulary.Cause.OUTPUT)
    fails(welded, 0)
    assert "blocked-reader" in " ".join(welded.tap("max", 0))
    assert "clear" in " ".join(welded.tap("max", 1)), "the other reader is not taken for its echo"


def test_a_fob_that_was_refused_on_a_reader_with_a_fault_starts_on_the_other_one_at_once():
    world = of_two()
    fails(world, 0)
    assert "blocked-reader" in " ".join(world.tap(FOB[0], 0))
    assert world.tap(FOB[1], 1)[0].startswith("record started")


@few
@given(script=st.lists(events, max_size=40))
def test_no_power_rises_by_a_tap_beside_the_holder(script):
    world = of_two(mode=HOLD, handover=True)
    for what, value, reader in script:
        if what == "tap":
            before = len(world.facts)
            world.tap(value, reader)
            if reader == 1:
                new = [fact for fact in world.facts[before:] if isinstance(fact, vocabulary.Started)]
                started = [fact for fact in new if fact.continues is None]
                assert all(fact.supervisor is not None and fact.badge != value for fact in started)
        elif what == "lift":
            world.lift(value, reader)
        elif what == "wait":
            world.after(value)
        elif what == "commit":
            world.commit()

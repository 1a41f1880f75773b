"""Can anything that no person did fill the journal? Each kind of entry, and what can cause it by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from fabgate import wire
from fabgate.gate.hardware.reader_thread import ReaderFault, ReaderRecovered
from fabgate.gate.hardware.unsteady_reader import MANY, STEADY_MS
from fabgate.gate.journal import throttle as module
from fabgate.gate.journal.facts import FactWriter
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.recorder import JournalFailed, JournalRecovered
from fabgate.gate.journal.throttle import BURST, CRASH_LOOP_ENTRIES, REFILL_MS, EntryThrottle, is_crash_loop
from fabgate.gate.journal.writer import Draft
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored
from fabgate.rules import vocabulary
from tests.gate.shell import Bench, running, wait

DAY_S = 86_400
WRITER = FactWriter(boot="boot-1", new_uid=uuid7, checkpoint_ms=30_000)


def clock(ms: int) -> wire.Clock:
    return wire.Clock(boot="boot-1", boottime_ms=ms, synced=True)


def fact(ms: int, found: vocabulary.Fact) -> Draft:
    drafts, _ = WRITER.drafts([found], vocabulary.Now(ms), vocabulary.MachineRules())
    return drafts[0]


def note(ms: int, kind: str, **fields: object) -> Draft:
    return Draft(uuid7(), kind, wire.ENTRY_TYPES[kind](clock=clock(ms), **fields), None)


#: What can be said each second for a day although nobody is there.
BY_THEMSELVES: dict[str, Callable[[int], Draft]] = {
    "a plug without contact": lambda ms: note(
        ms, "reader.fault" if ms % 2000 else "reader.recovered", detail=f"at {ms}"
    ),
    "a line that cannot be driven": lambda ms: note(ms, "output.fault", detail=f"error {ms}"),
    "a roster server with other errors": lambda ms: note(ms, "roster.rejected", reason=f"error {ms}"),
    "a roster file that a script rewrites": lambda ms: note(ms, "roster.replaced", version=ms, members=3),
    "a clock that jumps": lambda ms: note(ms, "clock.synced", step_ms=2000),
    "a program that crashes": lambda ms: note(ms, "gate.started", version="1"),
    "a host that restarts": lambda ms: note(ms, "gate.stopping", reason="SIGTERM"),
    "a command that is sent again": lambda ms: note(
        ms, "command.executed", command=f"c{ms}", verb="stop", outcome="refused", actor="ada", reason="expired"
    ),
    "a card at the edge of the field": lambda ms: fact(ms, vocabulary.Refused("b" * 64, None, ("unknown-badge",))),
    **{
        f"a cause that comes and goes: {cause}": lambda ms, cause=cause: fact(
            ms, vocabulary.Blocked(cause, f"at {ms}") if ms % 2000 else vocabulary.Cleared(cause)
        )
        for cause in sorted(module._AUTOMATIC_CAUSES)
    },
}
#: What only a person causes, or is written once.
BY_PEOPLE = {
    "session.started",
    "session.progress",
    "session.ended",
    "machine.flagged",
    "journal.forked",  # see test_forks.py
}


def test_every_kind_of_entry_was_thought_of():
    assert {make(1000).type for make in BY_THEMSELVES.values()} | {
        "machine.cleared",
        "reader.recovered",
    } | BY_PEOPLE == set(wire.ENTRY_TYPES)


@pytest.mark.parametrize("name", BY_THEMSELVES)
def test_a_day_of_it_is_some_sixty_entries_that_say_how_many_were_left_out(name):
    throttle, written = EntryThrottle(), []
    for second in range(1, DAY_S + 1):
        ms = second * 1000
        written += throttle.admit([BY_THEMSELVES[name](ms)], ms) + throttle.due(ms)
    assert len(written) <= BURST + 48 + 1
    ms += REFILL_MS
    written += throttle.due(ms)
    left_out = [0 if one.data.unrecorded is UNSET else one.data.unrecorded for one in written]
    assert left_out[:BURST] == [0] * BURST, "the first ones are written as they come"
    assert len(written) + sum(left_out) == DAY_S
    assert written[-1].data.clock.boottime_ms == DAY_S * 1000, "the last one is the state that lasts"


def test_what_is_said_now_and_then_is_written_each_time():
    throttle = EntryThrottle()
    for hour in range(1, 24 * 7):
        ms = hour * 3_600_000
        assert len(throttle.admit([BY_THEMSELVES["a plug without contact"](ms)], ms)) == 1


def test_what_a_person_does_is_always_written_and_what_was_left_out_last_before_it():
    throttle = EntryThrottle()
    for second in range(1, 100):
        throttle.admit([fact(second * 1000, vocabulary.Blocked(vocabulary.Cause.STALE, str(second)))], second * 1000)
    ended = fact(100_000, vocabulary.Ended("s", "m", "b" * 64, vocabulary.EndReason.BADGE, 1, 1))
    blocked, last = throttle.admit([ended], 100_000)
    assert last is ended
    assert (blocked.data.detail, blocked.data.unrecorded) == ("99", 99 - BURST - 1)
    assert throttle.due(100_000 + 100 * REFILL_MS) == []


def test_a_manager_and_a_maintainer_are_people():
    throttle = EntryThrottle()
    for second in range(1, 100):
        ms = second * 1000
        drafts = [
            fact(ms, vocabulary.Blocked(vocabulary.Cause.LOCK_NOW)),
            fact(ms, vocabulary.Cleared(vocabulary.Cause.OUTPUT, "m-max")),
            note(ms, "command.executed", command="c", verb="lock", outcome="done", actor="ada"),
        ]
        assert throttle.admit(drafts, ms) == drafts


def test_a_flood_of_badges_is_forgotten_again_and_counts_right():
    throttle = EntryThrottle()
    for number in range(500):
        for _ in range(BURST + 2):
            throttle.admit([fact(1000, vocabulary.Refused(f"{number:064}", None, ("unknown-badge",)))], 1000)
    assert len(throttle._sources) <= module.BADGES_MOST + 1
    assert len(throttle.due(1000 + REFILL_MS)) == module.BADGES_MOST
    assert throttle.due(1000 + 100 * REFILL_MS) == []


@given(
    st.lists(st.tuples(st.sampled_from(sorted(BY_THEMSELVES)), st.integers(1, 4_000_000)), max_size=300), st.booleans()
)
def test_whatever_comes_in_whatever_order_the_newest_of_each_source_is_written_in_the_end(said, crash_loop):
    throttle, ms, written, newest = EntryThrottle(crash_loop=crash_loop), 0, [], {}
    for name, pause_ms in said:
        ms += pause_ms
        draft = BY_THEMSELVES[name](ms)
        newest[module._source(draft)] = draft.uid
        written += throttle.admit([draft], ms) + throttle.due(ms)
    written += throttle.due(ms + REFILL_MS)
    assert len({draft.uid for draft in written}) == len(written)
    assert set(newest.values()) <= {draft.uid for draft in written}
    counted = sum(0 if one.data.unrecorded is UNSET else one.data.unrecorded for one in written)
    assert counted + len(written) == len(said)


@pytest.mark.parametrize(
    ("types", "crowd"),
    [
        (["gate.started"] * CRASH_LOOP_ENTRIES, True),
        (["gate.started", "clock.synced"] * CRASH_LOOP_ENTRIES, True),
        (["gate.started"] * (CRASH_LOOP_ENTRIES - 1), False),
        (["gate.started"] * (CRASH_LOOP_ENTRIES - 1) + ["session.ended"], False),
        (["gate.started"] * CRASH_LOOP_ENTRIES + ["session.ended"], True),
    ],
)
def test_starts_that_nobody_made_use_of_are_a_crowd(types, crowd):
    assert is_crash_loop(types) is crowd


# --- the whole gate ---------------------------------------------------------------------------------------------------


def jump(bench: Bench) -> None:
    bench.time.wall += 10


SAID: dict[str, Callable[[Bench, int], object]] = {
    "reader": lambda bench, n: bench.daemon.post(ReaderRecovered(f"{n}") if n % 2 else ReaderFault(f"{n}")),
    "roster errors": lambda bench, n: bench.daemon.post(RosterRefused(f"error {n}")),
    "roster errors between rosters": lambda bench, n: bench.daemon.post(
        RosterRefused(f"error {n}") if n % 2 else RosterConfirmed()
    ),
    "rosters": lambda bench, n: bench.daemon.post(RosterStored(n, 5)),
    "disk": lambda bench, n: bench.daemon.post(JournalFailed(f"{n}") if n % 2 else JournalRecovered()),
    "wire of the emergency stop": lambda bench, n: bench.daemon.post(
        vocabulary.CauseRaised(vocabulary.Cause.ESTOP) if n % 2 else vocabulary.CauseCleared(vocabulary.Cause.ESTOP)
    ),
    "clock": lambda bench, n: jump(bench),
    "badge": lambda bench, n: bench.tap("04A1B2FF"),
}


@pytest.mark.parametrize("what", SAID)
def test_a_gate_that_hears_it_sixty_times_writes_it_ten_times(bench: Bench, what: str) -> None:
    bench.written()
    before = len(bench.entries())
    for number in range(1, 61):
        SAID[what](bench, number)
        bench.advance(1_000)
    bench.written()
    assert len(bench.entries()) - before <= 2 * BURST, "one source, or a source and the cause that follows from it"
    if what == "reader":
        assert bench.causes == ["reader"], "see below"
    else:
        bench.use("ada")


def test_a_gate_that_crashes_at_each_start_ends_to_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CRASH_LOOP_ENTRIES", 12)
    monkeypatch.setattr("fabgate.gate.run_start.CRASH_LOOP_ENTRIES", 12)
    with running(tmp_path) as bench:
        for _ in range(25):
            bench.cut_power()
            bench.start()
            bench.written()
        assert len(bench.entries()) <= 12 + 5
        bench.use("ada")
        bench.written()
        kinds = [kind for kind, _ in bench.entries()]
        assert "gate.started" in kinds[-4:], "the start is on record once somebody uses the machine"


def test_a_reader_that_keeps_recovering_is_a_fault_until_it_has_been_steady(bench: Bench) -> None:
    for _ in range(MANY - 1):
        bench.post(ReaderRecovered("the reader had lost its settings and was configured again"))
        bench.advance(1_000)
    assert bench.causes == []
    bench.post(ReaderRecovered("the reader had lost its settings and was configured again"))
    assert bench.causes == ["reader"]
    bench.wait_for_status(lambda found: any("check its power supply" in problem for problem in found["problems"]))
    bench.advance(STEADY_MS - 1_000)
    assert bench.causes == ["reader"]
    bench.advance(1_000)
    wait(lambda: bench.causes == [], "a steady reader")
    bench.use("ada")


def test_recoveries_now_and_then_are_no_fault(bench: Bench) -> None:
    for _ in range(2 * MANY):
        bench.post(ReaderRecovered("the reader had lost its settings and was configured again"))
        bench.advance(120_000)
    assert bench.causes == []

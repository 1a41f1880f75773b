"""The off is the first command of every answer that holds one, also where one event has several consequences.

``observer.check_off_first`` looks at each answer of every other test and of the random sequences of
``test_any_order``. Here are the answers in which something else is recorded as well as the end.
"""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, S, World


def late(world: World, ms: int, event: vocabulary.Event) -> list[str]:
    """Ask the gate after a pause in which nothing asked it: all that is overdue comes in one answer."""
    world.ms += ms
    return world.do(event)


def test_a_lock_when_idle_on_a_machine_that_stands_still() -> None:
    world = World(run_sense=True).start()
    out = world.roster(lock=vocabulary.Lock("l", now=False))
    assert out == ["record blocked lock-idle", "show warning"]
    assert late(world, 16 * MIN, vocabulary.Tick())[0] == "off"


def test_a_checkpoint_that_never_reached_the_disk() -> None:
    world = World(run_sense=True).start()
    assert world.do(vocabulary.CheckpointLate()) == [
        "off",
        "record blocked journal",
        "record ended s1 fault 0",
        "signal ended",
        "show blocked",
    ]


def test_progress_and_limit_in_one_tick() -> None:
    world = World(limit_ms=15 * MIN).start()
    assert late(world, 15 * MIN, vocabulary.Tick())[0] == "off"


def test_an_emergency_stop_while_progress_is_overdue() -> None:
    world = World().start()
    assert late(world, 16 * MIN, vocabulary.CauseRaised(vocabulary.Cause.ESTOP))[0] == "off"


@pytest.mark.parametrize("event", [vocabulary.StopPressed(), vocabulary.Presented("ada"), vocabulary.Stopping()])
def test_an_end_while_progress_is_overdue(event: vocabulary.Event) -> None:
    world = World(limit_ms=60 * MIN).start()
    assert late(world, 16 * MIN, event)[0] == "off"


def test_a_stop_in_a_handover_on_a_machine_that_lets_no_job_run_on() -> None:
    world = World(handover=True, run_sense=True, finish_max_ms=0).start("ada")
    world.running(True)
    world.tap("bob")
    assert world.stop()[0] == "off"


def test_the_end_of_the_daemon_while_the_limit_is_overdue_switches_off_once() -> None:
    world = World(limit_ms=5 * MIN).start()
    out = late(world, 6 * MIN, vocabulary.Stopping())
    assert (out[0], out.count("off")) == ("off", 1)


@pytest.mark.parametrize("rules", [{"run_sense": True, "idle_off_ms": 0}, {"limit_ms": 0}])
def test_a_session_that_would_end_as_it_begins_gets_no_power_at_all(rules: dict[str, object]) -> None:
    world = World(**rules)  # type: ignore[arg-type]
    world.tap("ada")
    out = world.commit()
    assert "on" not in out
    assert out[0] == "off"
    assert world.ends()[0][2] == 0


def test_a_fan_that_runs_on_is_off_before_the_next_start_is_asked_for() -> None:
    world = World(run_on_ms=30 * S).start()
    world.tap("ada")
    assert late(world, 16 * MIN, vocabulary.Presented("bob"))[0] == "off"

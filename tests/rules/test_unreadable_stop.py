"""A stop button that cannot be read: power goes as if it were pressed, but no person has said anything."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.broken import beside, broken
from tests.rules.world import H, S, World


def test_without_a_part_that_reports_work_power_goes_off_and_the_end_is_a_fault() -> None:
    world = World().start()
    world.after(10 * S)
    assert world.loses_stop()[:2] == ["off", "record ended s1 fault 10000"]
    world = World(run_on_ms=60 * S).start()
    assert world.loses_stop() == ["show run-on"]
    assert world.after(60 * S)[:2] == ["off", "record ended s1 fault 60000"]


def test_a_machine_that_stands_still_goes_off_and_a_running_job_is_finished() -> None:
    world = World(run_sense=True).start()
    world.running(False)
    assert world.loses_stop()[:2] == ["off", "record ended s1 fault 0"]
    world = World(run_sense=True).start()
    world.running(True)
    assert world.loses_stop() == ["show finishing"]
    assert world.running(False)[:2] == ["off", "record ended s1 fault 0"]


def test_a_broken_meter_counts_as_work_and_is_believed_until_a_person_says_otherwise() -> None:
    world = broken()
    assert world.loses_stop() == ["show finishing"]
    assert world.loses_stop() == ["signal finishing"]
    world.after(H)
    assert world.stop()[0] == "off"
    assert world.ends() == [("s1", "fault", H, 0)]
    world = broken()
    assert world.stop()[:2] == ["off", "record ended s1 button 0"]


def test_it_neither_asks_nor_answers_whether_to_switch_off_beside_a_broken_meter() -> None:
    world = beside()
    world.loses_stop()
    assert world.panel.detail != vocabulary.ASKS_AGAIN
    world = beside()
    world.stop()
    assert world.panel.detail == vocabulary.ASKS_AGAIN
    assert world.loses_stop() == ["signal finishing"]
    assert world.stop()[0] == "off"
    assert world.ends()[0][1] == "button"


@pytest.mark.parametrize("badge", ["ada", "kid"])
def test_a_waiting_start_is_cancelled_as_by_the_button(badge: str) -> None:
    pressed, unreadable = World(), World()
    for world in (pressed, unreadable):
        world.tap(badge)
    assert unreadable.loses_stop() == pressed.stop()
    assert unreadable.phase == "free"


def test_the_fan_and_a_job_that_is_finished_end_as_by_the_button() -> None:
    for sensed in (False, True):
        pressed, unreadable = (World(run_sense=sensed, run_on_ms=60 * S).start() for _ in range(2))
        for world in (pressed, unreadable):
            world.running(False)
            world.tap("ada")
            assert world.phase == "run-on"
        assert unreadable.loses_stop() == pressed.stop()
        assert not unreadable.power
    pressed, unreadable = (World().start() for _ in range(2))
    for world in (pressed, unreadable):
        world.roster(lock=vocabulary.Lock("l", now=False))
        assert world.phase == "finishing-job"
    assert unreadable.loses_stop() == pressed.stop()
    assert not unreadable.power

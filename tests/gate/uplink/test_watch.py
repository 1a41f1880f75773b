"""Why do entries wait, and when is the connection at fault?"""

from __future__ import annotations

import pytest

from fabgate import wire
from fabgate.gate.uplink.watch import REPEATS, Watch
from fabgate.mqtt.silence import ANSWER_MS, SHOWN_MS, Remedy

HERE = wire.CollectorStatus(online=True, collector="c")


def watch(status: wire.CollectorStatus | None = HERE) -> Watch:
    """A gate whose connection has just begun, and brought a status of the collector where there is one."""
    found = Watch("laser-1", dice=lambda: 0.0)
    found.connected()
    if status is not None:
        found.heard()
        found.collector_is(status)
    return found


def repeat(found: Watch, times: int = REPEATS) -> None:
    for _ in range(times):
        found.repeated()


def test_one_repetition_is_no_problem() -> None:
    found = watch()
    repeat(found, REPEATS - 1)
    assert found.problem(0) == ""
    assert found.due(0) is Remedy.NOTHING


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "no collector has said"),
        (wire.CollectorStatus(online=False, collector="c"), "the collector is offline"),
        (wire.CollectorStatus(online=True, collector="c", refused=["laser-1"]), "refuses this gate"),
        (wire.CollectorStatus(online=True, collector="c", refused=["saw"]), "acknowledges nothing"),
        (
            wire.CollectorStatus(online=True, collector="c", trouble="its disk is full"),
            "stores nothing now: its disk is full",
        ),
        (HERE, "acknowledges nothing"),
    ],
)
def test_what_the_collector_says_of_itself_is_shown_and_never_ends_a_connection_that_answers(status, said) -> None:
    found = watch(status)
    for minute in range(60):
        found.repeated()
        for second in (0, 20, 40):
            step = found.due(minute * 60_000 + second * 1_000)
            assert step is not Remedy.RECONNECT
            if step is Remedy.ASK:
                assert status is not None, "without a retained status there is nothing that could come"
                found.heard()
        if minute >= REPEATS:
            assert said in found.problem(minute * 60_000)
    found.acknowledged()
    assert found.problem(3_600_000) == ""


def test_a_connection_that_does_not_answer_is_dead_and_that_is_shown_for_an_hour() -> None:
    found = watch()
    repeat(found)
    assert [found.due(0), found.due(ANSWER_MS), found.due(2 * ANSWER_MS)] == [Remedy.ASK, Remedy.ASK, Remedy.RECONNECT]
    found.connected()
    found.heard()
    found.collector_is(HERE)
    found.acknowledged()
    assert "max_packet_size 69632" in found.problem(60_000)
    assert found.problem(2 * ANSWER_MS + SHOWN_MS) == ""


def test_an_acknowledgement_of_any_entry_shows_that_the_connection_lives() -> None:
    found = watch()
    repeat(found)
    assert found.due(0) is Remedy.ASK
    found.heard()
    found.acknowledged()
    assert found.due(10 * ANSWER_MS) is Remedy.NOTHING


def test_what_the_broker_refuses_is_named() -> None:
    found = watch()
    found.refused("Not authorized")
    repeat(found)
    assert "the broker refuses them (Not authorized)" in found.problem(0)
    found.acknowledged()
    assert found.problem(0) == ""
    found.refused_subscription("Not authorized")
    assert "refuses a subscription" in found.problem(0)
    found.connected()
    assert found.problem(0) == ""

"""Is it noticed that nothing arrives at the collector, and only then?"""

from __future__ import annotations

from fabgate.collector.recording.broker.deliveries import DEAD, NOTHING_MS, QUIET_MS, Deliveries
from fabgate.mqtt.silence import ANSWER_MS, SHOWN_MS, Remedy


def none() -> int:
    return 0


def test_a_broker_that_answers_is_asked_again_and_again_and_never_left():
    deliveries, arrived = Deliveries(0, dice=lambda: 0.0), 0
    asked = 0
    for now_ms in range(0, 3_600_000, 1_000):
        step = deliveries.look(arrived, now_ms)
        assert step is not Remedy.RECONNECT
        if step is Remedy.ASK:
            asked, arrived = asked + 1, arrived + 1  # our own status comes back
    assert asked == 3_600_000 // (QUIET_MS + 1_000)
    assert deliveries.trouble(3_600_000, online=none) == ""


def test_a_broker_that_does_not_is_left_and_that_is_shown_for_an_hour():
    deliveries = Deliveries(0, dice=lambda: 0.0)
    looks = {now_ms: deliveries.look(0, now_ms) for now_ms in range(0, QUIET_MS + 2 * ANSWER_MS + 1, 1_000)}
    assert [(ms, step) for ms, step in looks.items() if step is not Remedy.NOTHING] == [
        (QUIET_MS, Remedy.ASK),
        (QUIET_MS + ANSWER_MS, Remedy.ASK),
        (QUIET_MS + 2 * ANSWER_MS, Remedy.RECONNECT),
    ]
    at_ms = QUIET_MS + 2 * ANSWER_MS
    deliveries.no_connection(at_ms)
    assert deliveries.look(3, at_ms + 5_000) is Remedy.NOTHING
    assert deliveries.trouble(at_ms + 5_000, online=none) == DEAD
    assert deliveries.trouble(at_ms + SHOWN_MS, online=none) == ""


def test_gates_that_were_online_and_of_which_nothing_comes_are_a_problem_and_gates_that_are_off_are_none():
    deliveries = Deliveries(0)
    assert deliveries.trouble(NOTHING_MS - 1, online=lambda: 1 // 0) == "", "the database is not asked all the time"
    assert deliveries.trouble(NOTHING_MS, online=none) == ""
    assert deliveries.trouble(NOTHING_MS, online=lambda: 1).startswith("nothing arrives from any gate, and one was not")
    assert "and 3 gates were not announced" in deliveries.trouble(NOTHING_MS, online=lambda: 3)
    deliveries.of_a_gate(NOTHING_MS)
    assert deliveries.trouble(NOTHING_MS + 1, online=lambda: 3) == ""


def test_without_a_connection_nothing_is_expected():
    deliveries = Deliveries(0)
    deliveries.no_connection(10 * QUIET_MS)
    assert deliveries.look(0, 11 * QUIET_MS - 1) is Remedy.NOTHING
    assert deliveries.trouble(11 * QUIET_MS, online=lambda: 3) == ""

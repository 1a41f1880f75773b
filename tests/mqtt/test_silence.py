"""When does a connection over which nothing arrives count as dead, and how often is it replaced?"""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from fabgate.mqtt.silence import ANSWER_MS, EVERY_MS, JITTER_MS, QUESTIONS, SHOWN_MS, Remedy, Silence


def steps(silence: Silence, *, first_ms: int, last_ms: int, is_suspected: bool = True) -> list[tuple[int, Remedy]]:
    """What is done each second, with its time; nothing ever arrives."""
    looks = ((ms, silence.look(ms, is_suspected=is_suspected)) for ms in range(first_ms, last_ms + 1, 1_000))
    return [(ms, step) for ms, step in looks if step is not Remedy.NOTHING]


def test_the_broker_is_asked_twice_and_then_there_is_a_new_connection() -> None:
    silence = Silence(dice=lambda: 0.0)
    assert steps(silence, first_ms=0, last_ms=30_000) == [
        (0, Remedy.ASK),
        (ANSWER_MS, Remedy.ASK),
        (2 * ANSWER_MS, Remedy.RECONNECT),
    ]


def test_nothing_is_done_without_suspicion() -> None:
    assert steps(Silence(), first_ms=0, last_ms=EVERY_MS, is_suspected=False) == []


def test_a_question_is_followed_up_although_nothing_new_is_suspicious() -> None:
    silence = Silence(dice=lambda: 0.0)
    assert silence.look(0, is_suspected=True) is Remedy.ASK
    assert steps(silence, first_ms=1_000, last_ms=30_000, is_suspected=False)[-1] == (30_000, Remedy.RECONNECT)


def test_an_answer_ends_the_suspicion() -> None:
    silence = Silence(dice=lambda: 0.0)
    assert silence.look(0, is_suspected=True) is Remedy.ASK
    silence.heard()
    assert silence.deadline() is None
    assert steps(silence, first_ms=1_000, last_ms=60_000, is_suspected=False) == []
    assert not silence.was_dead(60_000)


def test_a_new_connection_that_does_not_help_is_made_again_after_five_minutes_and_not_in_step() -> None:
    times = {}
    for dice in (0.0, 0.5, 1.0):
        silence = Silence(dice=lambda dice=dice: dice)
        found = steps(silence, first_ms=0, last_ms=3 * EVERY_MS)
        times[dice] = [ms for ms, step in found if step is Remedy.RECONNECT]
    assert times[0.0] == [30_000, 30_000 + EVERY_MS, 30_000 + 2 * EVERY_MS]
    assert times[0.5][0] == 30_000 + JITTER_MS // 2
    assert times[1.0][1] == 30_000 + JITTER_MS + EVERY_MS + JITTER_MS


def test_that_it_was_dead_is_shown_for_an_hour() -> None:
    silence = Silence(dice=lambda: 1.0)
    steps(silence, first_ms=0, last_ms=30_000)
    assert silence.was_dead(30_000), "it is dead, and the new connection comes later"
    assert silence.look(60_000, is_suspected=True) is Remedy.RECONNECT
    assert silence.was_dead(60_000 + SHOWN_MS - 1)
    assert not silence.was_dead(60_000 + SHOWN_MS)


@given(
    st.lists(st.tuples(st.sampled_from(["look", "suspected", "heard"]), st.integers(1, 400_000)), max_size=200),
    st.floats(0, 1),
)
def test_whatever_happens_a_connection_that_answers_lives_and_none_is_replaced_twice_in_five_minutes(
    acts: list[tuple[str, int]], dice: float
) -> None:
    silence, now_ms = Silence(lambda: dice), 0
    unanswered, reconnected = 0, []
    for act, pause_ms in acts:
        now_ms += pause_ms
        if act == "heard":
            silence.heard()
            unanswered = 0
            continue
        step = silence.look(now_ms, is_suspected=act == "suspected")
        if step is Remedy.ASK:
            unanswered += 1
        elif step is Remedy.RECONNECT:
            assert unanswered == QUESTIONS
            unanswered = 0
            reconnected.append(now_ms)
        if (deadline := silence.deadline()) is not None and deadline <= now_ms:
            assert silence.look(now_ms, is_suspected=False) is not Remedy.NOTHING
            return
    assert all(later - earlier >= EVERY_MS for earlier, later in itertools.pairwise(reconnected))

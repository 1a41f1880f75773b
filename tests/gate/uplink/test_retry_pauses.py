"""How long a gate waits before it tries its broker again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabgate.gate.uplink.retry_pauses import AWAY_S, REFUSED_S, RetryPauses


@given(st.lists(st.booleans(), max_size=50), st.floats(0, 1))
def test_whoever_is_away_is_tried_again_soon_whatever_came_before(before: list[bool], thrown: float) -> None:
    pauses = RetryPauses(lambda: thrown)
    for refused in before:
        pauses.after(refused=refused)
    assert AWAY_S / 2 <= pauses.after(refused=False) <= AWAY_S


def test_refusals_double_the_pause_up_to_half_a_minute_and_never_overflow() -> None:
    pauses = RetryPauses(lambda: 1.0)
    assert [pauses.after(refused=True) for _ in range(6)] == [4, 8, 16, 30, 30, 30]
    assert {pauses.after(refused=True) for _ in range(5_000)} == {REFUSED_S}


def test_chance_spreads_the_attempts_of_many_gates_over_a_second() -> None:
    assert [RetryPauses(lambda thrown=thrown: thrown).after(refused=False) for thrown in (0, 0.5, 1)] == [1, 1.5, 2]

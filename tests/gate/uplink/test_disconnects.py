"""Does a gate say that another one uses its name, with brokers that give that reason and with those that give none?"""

from __future__ import annotations

from fabgate.gate.uplink.disconnects import SHORT_MS, Disconnects

CLOSED = "the broker closed the connection"
SECOND = "look for a second gate that is named lyon/laser-1 (a copied card)"


def test_a_broker_that_names_the_reason_is_believed_the_first_time():
    problem = Disconnects("lyon/laser-1").problem("the broker ended the connection: Session taken over", lasted_ms=5)
    assert problem == f"the broker ended the connection: Session taken over; {SECOND}"


def test_one_connection_that_is_closed_without_a_reason_says_nothing_about_a_second_gate():
    endings = Disconnects("lyon/laser-1")
    assert endings.problem("", lasted_ms=SHORT_MS * 50) == CLOSED
    assert endings.problem("", lasted_ms=100) == CLOSED  # a broker that was restarted twice does the same


def test_the_third_in_a_row_that_is_closed_without_a_reason_says_what_to_look_for():
    endings = Disconnects("lyon/laser-1")
    for lasted_ms in (SHORT_MS * 50, 1_500):
        endings.problem("", lasted_ms=lasted_ms)
    assert endings.problem("", lasted_ms=1_700) == f"{CLOSED} 3 times in a row without a reason; {SECOND}"
    assert endings.problem("", lasted_ms=1_700) == f"{CLOSED} 4 times in a row without a reason; {SECOND}"


def test_a_connection_that_lasts_begins_the_count_again():
    endings = Disconnects("lyon/laser-1")
    assert [endings.problem("", lasted_ms=SHORT_MS) for _ in range(9)] == [CLOSED] * 9


def test_an_end_with_another_reason_begins_the_count_again():
    for said, lasted_ms in (("the broker refused the connection: Not authorized", None), ("OSError: refused", None)):
        endings = Disconnects("lyon/laser-1")
        for _ in range(2):
            endings.problem("", lasted_ms=100)
        assert endings.problem(said, lasted_ms=lasted_ms) == said
        assert endings.problem("", lasted_ms=100) == CLOSED


def test_what_never_let_the_gate_in_is_no_second_gate():
    endings = Disconnects("lyon/laser-1")
    assert [endings.problem("", lasted_ms=None) for _ in range(9)] == [CLOSED] * 9

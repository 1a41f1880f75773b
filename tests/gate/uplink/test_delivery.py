"""Which entries go out next, and when again: the position of one stream, by stories and by chance."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.gate.uplink.delivery import BELOW_MS, AckResult, Delivery
from fabgate.gate.uplink.window import FIRST, LEAST
from fabgate.wire import ACK_WINDOW, PUBACK_WINDOW


def stream(*, floor: int = 1, head: int = 10, mark: int = 0, **more: float) -> Delivery:
    """A stream that is connected; without jitter, so that its pauses can be told."""
    found = Delivery(floor=floor, head=head, mark=mark, jitter=lambda: 0.0, **more)  # type: ignore[arg-type]
    found.connect(0)
    return found


def pump(delivery: Delivery) -> list[int]:
    """Send what may be sent and return the numbers."""
    sent = []
    while delivery.room():
        sent.append(delivery.next)
        delivery.sent(delivery.next)
    return sent


def test_entries_go_out_in_order_after_the_mark() -> None:
    assert pump(stream(mark=4)) == [5, 6, 7, 8, 9, 10]


def test_nothing_goes_out_while_not_connected() -> None:
    delivery = Delivery(floor=1, head=10, mark=0)
    assert delivery.room() == 0
    delivery.connect(0)
    delivery.disconnect()
    assert delivery.room() == 0
    assert delivery.deadline() is None


def test_at_most_twenty_wait_for_the_broker_and_four_hundred_for_the_collector() -> None:
    delivery = stream(head=2_000)
    assert pump(delivery) == list(range(1, PUBACK_WINDOW + 1))
    delivery.ack(1, same_history=True, now_ms=0)
    assert pump(delivery) == []
    delivery.puback()
    assert pump(delivery) == [PUBACK_WINDOW + 1]
    for mark in range(2, 1_000):
        delivery.ack(mark, same_history=True, now_ms=0)
        delivery.puback()
        pump(delivery)
    for _ in range(2_000):
        delivery.puback()
        pump(delivery)
    assert delivery.next - 1 == 999 + ACK_WINDOW
    delivery.ack(1_099, same_history=True, now_ms=0)
    for _ in range(200):
        delivery.puback()
        pump(delivery)
    assert delivery.next - 1 == 1_099 + ACK_WINDOW


def test_a_window_that_was_too_large_is_small_when_publishing_begins_again() -> None:
    delivery = stream(head=1_000)
    assert len(pump(delivery)) == FIRST
    for _ in range(FIRST):
        delivery.puback()
    assert delivery.due(10_000)
    assert len(pump(delivery)) == LEAST


def test_a_broker_that_confirms_more_than_was_sent_opens_no_window() -> None:
    delivery = stream(head=100)
    for _ in range(50):
        delivery.puback()
    assert len(pump(delivery)) == PUBACK_WINDOW


def test_a_connection_begins_again_from_the_mark() -> None:
    delivery = stream()
    pump(delivery)
    delivery.ack(3, same_history=True, now_ms=0)
    delivery.disconnect()
    delivery.connect(5)
    assert pump(delivery) == [4, 5, 6, 7, 8, 9, 10]


def test_without_an_ack_publishing_begins_again_and_the_pause_doubles_up_to_its_most() -> None:
    delivery = stream(resend_ms=10_000, resend_max_ms=60_000)
    pauses, at = [], 0
    for _ in range(6):
        pump(delivery)
        for _ in range(10):
            delivery.puback()
        due = delivery.deadline()
        assert due is not None
        assert not delivery.due(due - 1)
        assert delivery.due(due)
        assert delivery.next == 1
        pauses.append(due - at)
        at = due
    assert pauses == [10_000, 20_000, 40_000, 60_000, 60_000, 60_000]
    delivery.ack(1, same_history=True, now_ms=at)
    pump(delivery)
    assert delivery.deadline() == at + 10_000


def test_the_pause_has_jitter() -> None:
    delivery = Delivery(floor=1, head=1, mark=0, resend_ms=10_000, jitter=lambda: 1.0)
    delivery.connect(0)
    pump(delivery)
    delivery.due(10_000)
    pump(delivery)
    assert delivery.deadline() == 10_000 + 16_000


def test_steady_traffic_does_not_put_publishing_again_off() -> None:
    delivery = stream(head=1)
    pump(delivery)
    for second in range(1, 10):
        delivery.puback()
        delivery.stored(1 + second, second * 1_000)
        pump(delivery)
    assert delivery.due(10_000)
    assert delivery.next == 1


def test_the_time_without_an_ack_counts_from_when_there_was_something_to_acknowledge() -> None:
    delivery = stream(head=1)
    pump(delivery)
    delivery.ack(1, same_history=True, now_ms=0)
    assert delivery.deadline() is None
    delivery.stored(2, 3_600_000)
    pump(delivery)
    assert delivery.deadline() == 3_610_000


def test_an_ack_moves_the_mark_and_what_it_covers_is_not_sent_any_more() -> None:
    delivery = stream()
    assert delivery.ack(7, same_history=True, now_ms=0) is AckResult.MOVED
    assert delivery.ack(7, same_history=True, now_ms=0) is AckResult.SAME
    assert pump(delivery) == [8, 9, 10]


def test_five_seconds_after_the_first_ack_below_the_mark_the_latest_one_becomes_the_mark() -> None:
    delivery = stream(mark=9)
    pump(delivery)
    assert delivery.ack(6, same_history=True, now_ms=1_000) is AckResult.BELOW
    assert delivery.ack(5, same_history=True, now_ms=4_000) is AckResult.BELOW
    assert not delivery.due(1_000 + BELOW_MS - 1)
    assert delivery.mark == 9
    assert delivery.due(1_000 + BELOW_MS)
    assert delivery.mark == 5
    assert pump(delivery) == [6, 7, 8, 9, 10]


def test_an_old_ack_that_a_newer_one_follows_changes_nothing() -> None:
    for newer in (9, 10):
        delivery = stream(mark=9)
        delivery.ack(2, same_history=True, now_ms=0)
        delivery.ack(newer, same_history=True, now_ms=4_000)
        assert not delivery.due(BELOW_MS)
        assert delivery.mark == newer


def test_an_ack_of_what_is_no_longer_kept_means_from_the_oldest_entry() -> None:
    delivery = stream(floor=5, mark=8)
    assert delivery.ack(2, same_history=False, now_ms=0) is AckResult.BELOW
    assert delivery.due(BELOW_MS)
    assert delivery.mark == 4
    assert pump(delivery) == [5, 6, 7, 8, 9, 10]


def test_an_ack_that_holds_only_above_the_floor_confirms_nothing_where_we_keep_more() -> None:
    delivery = stream(floor=3, mark=4)
    assert delivery.ack(8, floor=6, same_history=True, now_ms=0) is AckResult.PARTIAL
    assert delivery.mark == 4
    assert delivery.ack(8, floor=5, same_history=True, now_ms=0) is AckResult.MOVED
    assert stream(floor=7, mark=6).ack(8, floor=7, same_history=True, now_ms=0) is AckResult.MOVED
    assert stream(floor=3, mark=9).ack(8, floor=6, same_history=True, now_ms=0) is AckResult.BELOW
    assert stream(floor=3, mark=4).ack(8, floor=6, same_history=False, now_ms=0) is AckResult.FORK


def test_an_ack_that_confirms_nothing_ends_no_wait_for_a_lower_one() -> None:
    delivery = stream(floor=3, mark=6)
    assert delivery.ack(2, same_history=True, now_ms=0) is AckResult.BELOW
    assert delivery.ack(9, floor=8, same_history=True, now_ms=1_000) is AckResult.PARTIAL
    assert delivery.due(BELOW_MS)
    assert delivery.mark == 2


def test_another_hash_or_a_number_that_was_never_written_is_another_history() -> None:
    assert stream().ack(4, same_history=False, now_ms=0) is AckResult.FORK
    assert stream().ack(11, same_history=True, now_ms=0) is AckResult.FORK
    assert stream().ack(11, same_history=False, now_ms=0) is AckResult.FORK
    assert stream(floor=5, mark=4).ack(4, same_history=False, now_ms=0) is AckResult.FORK


def test_a_lower_ack_that_waits_moves_no_mark_once_the_journal_forks() -> None:
    delivery = stream(mark=9)
    assert delivery.ack(6, same_history=True, now_ms=0) is AckResult.BELOW
    assert delivery.ack(8, same_history=False, now_ms=1_000) is AckResult.FORK
    assert not delivery.due(BELOW_MS)
    assert delivery.mark == 9, "the file may hold another journal by then, of which 6 is no mark"


def test_the_mark_is_never_below_the_oldest_entry() -> None:
    assert Delivery(floor=8, head=10, mark=3).mark == 7
    delivery = stream(mark=0)
    delivery.ack(0, same_history=True, now_ms=0)
    delivery.trimmed(6)
    assert (delivery.mark, delivery.next) == (5, 6)


def test_what_was_trimmed_while_a_lower_ack_waited_is_not_asked_for_again() -> None:
    delivery = stream(mark=9)
    delivery.ack(2, same_history=True, now_ms=0)
    delivery.trimmed(8)
    assert delivery.due(BELOW_MS)
    assert delivery.mark == 7


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_whatever_happens_the_position_stays_within_the_journal(seed: int, head: int) -> None:  # noqa: C901 - a table
    random = Random(seed)
    delivery = Delivery(floor=1, head=head, mark=random.randint(0, head), jitter=random.random)
    now = 0
    for _ in range(200):
        now += random.randint(0, 4_000)
        match random.randrange(8):
            case 0:
                delivery.connect(now)
            case 1:
                delivery.disconnect()
            case 2:
                head += random.randint(0, 30)
                delivery.stored(head, now)
            case 3:
                if delivery.mark > delivery.floor:
                    delivery.trimmed(random.randint(delivery.floor, delivery.mark))
            case 4:
                delivery.puback()
            case 5:
                delivery.ack(random.randint(0, head + 1), same_history=random.random() < 0.9, now_ms=now)
            case 6:
                due = delivery.deadline()
                delivery.due(now if due is None or random.random() < 0.5 else max(now, due))
            case 7:
                for number in pump(delivery):
                    assert delivery.floor <= number <= head
        assert delivery.floor - 1 <= delivery.mark <= delivery.head == head
        assert delivery.mark < delivery.next <= head + 1
        assert 0 <= delivery.room() <= PUBACK_WINDOW

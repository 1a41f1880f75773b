"""How much may wait between broker and database, and whose messages go when it is too much?"""

from __future__ import annotations

import queue
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import wire
from fabgate.collector.recording.broker import inbox as module
from fabgate.collector.recording.broker.inbox import Connected, Inbox, Lost
from fabgate.collector.recording.broker.message import Received

KB_60 = b"x" * 60_000


def message(gate: str, body: bytes = KB_60, leaf: str = "event/session/ended") -> Received:
    return Received(f"fabgate/v1/lyon/{gate}/{leaf}", body, "j-1", "7")


def test_a_flood_of_large_messages_takes_a_bounded_amount_of_memory():
    inbox = Inbox()
    taken = sum(inbox.offer(message(f"gate-{n % 20}")) for n in range(8_000))
    assert taken * len(KB_60) <= module.MAX_BYTES
    assert inbox.bytes <= module.MAX_BYTES
    assert inbox.count == taken


def test_one_gate_that_floods_leaves_room_for_the_others():
    inbox = Inbox()
    for n in range(8_000):
        inbox.offer(message("mad", leaf=f"event/gate/{n}"))  # what it calls its messages changes nothing
    assert inbox.bytes <= module.MAX_BYTES_OF_ONE
    assert inbox.offer(message("laser-1"))


def test_what_a_gate_may_send_before_it_waits_for_an_acknowledgement_fits():
    inbox = Inbox()
    assert all(inbox.offer(message("laser-1", b"x" * wire.MAX_ENTRY_BYTES)) for _ in range(wire.ACK_WINDOW))


def test_what_was_taken_out_makes_room_again():
    inbox = Inbox()
    while inbox.offer(message("laser-1")):
        pass
    inbox.get()
    assert inbox.offer(message("laser-1"))
    assert not inbox.offer(message("laser-1"))
    while inbox.count:
        inbox.get()
    assert inbox.bytes == 0


@pytest.mark.parametrize("size", [module.MAX_BYTES_OF_ONE + 1, module.MAX_BYTES + 1])
def test_a_message_larger_than_a_limit_is_taken_alone_so_that_it_can_be_refused(size):
    inbox = Inbox()
    assert inbox.offer(message("laser-1", b"x" * size))
    assert not inbox.offer(message("laser-1"))


def test_a_message_too_large_for_one_gate_is_taken_beside_those_of_others():
    inbox = Inbox()
    assert inbox.offer(message("saw-1"))
    assert inbox.offer(message("laser-1", b"x" * (module.MAX_BYTES_OF_ONE + 1)))
    assert not inbox.offer(message("laser-1"))
    assert inbox.offer(message("saw-1"))


def test_an_event_of_the_connection_always_fits_and_comes_first(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    inbox = Inbox()
    assert inbox.offer(message("laser-1", b""))
    assert not inbox.offer(message("laser-2", b""))
    inbox.post(Lost("away"))
    inbox.post(Connected())
    assert [inbox.get(timeout_s=1) for _ in range(3)] == [Lost("away"), Connected(), message("laser-1", b"")]
    with pytest.raises(queue.Empty):
        inbox.get()


def test_a_gate_that_sends_without_end_delays_the_others_by_a_turn():
    inbox = Inbox()
    for _ in range(2 * wire.ACK_WINDOW):
        inbox.offer(message("mad", b"{}"))
    inbox.offer(message("laser-1", b"{}"))
    inbox.offer(message("saw-1", b"{}"))
    first = [inbox.get().topic.split("/")[3] for _ in range(100)]
    assert {"laser-1", "saw-1"} < set(first)


def test_turns_are_of_the_same_size_in_bytes():
    inbox = Inbox()
    for _ in range(250):
        inbox.offer(message("mad"))
        for _ in range(7):
            inbox.offer(message("laser-1", b"x" * 500))
    taken = Counter()
    for one in inbox.take(1_000, 1_000_000):
        taken[one.topic.split("/")[3]] += len(one.body) + len(one.topic) + module.OVERHEAD_BYTES
    assert taken["mad"] == pytest.approx(taken["laser-1"], abs=len(KB_60) + 2 * module.TURN_BYTES)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40_000)), max_size=60), st.integers(1, 20))
def test_each_gates_messages_come_out_once_and_in_their_order(sent, most):
    inbox = Inbox()
    offered = [message(gate, number.to_bytes(2, "big") + bytes(size)) for number, (gate, size) in enumerate(sent)]
    assert all(inbox.offer(one) for one in offered)
    found = []
    while inbox.count:
        found += inbox.take(most, 100_000)
    assert inbox.bytes == 0
    for gate in "abc":
        topic = message(gate).topic
        assert [one for one in found if one.topic == topic] == [one for one in offered if one.topic == topic]


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_gate_with_costly_messages_rests_and_the_others_do_not_wait():
    clock = Clock()
    inbox = Inbox(clock)
    for _ in range(300):
        inbox.offer(message("mad", b"{}"))
    batch = [inbox.get(), *inbox.take(199, 1_000_000)]
    inbox.stored(batch, module.BATCH_S + 20.0)
    inbox.offer(message("laser-1", b"{}"))
    assert inbox.get().topic == message("laser-1").topic
    with pytest.raises(queue.Empty):
        inbox.get()
    clock.now_s += 19.9
    with pytest.raises(queue.Empty):
        inbox.get()
    clock.now_s += 0.2
    again = [inbox.get(), *inbox.take(999, 1_000_000)]
    assert len(again) == 2, "each took a tenth of a second"
    assert inbox.count == 98


def test_a_gate_with_one_message_in_a_costly_batch_hardly_rests():
    clock = Clock()
    inbox = Inbox(clock)
    batch = [*[message("mad", b"{}")] * 199, message("laser-1", b"{}")]
    inbox.stored(batch, module.BATCH_S + 20.0)
    inbox.offer(message("laser-1", b"{}"))
    clock.now_s += 0.1
    assert inbox.get().topic == message("laser-1").topic


def test_a_gate_whose_messages_are_cheap_again_gets_full_turns_again():
    clock = Clock()
    inbox = Inbox(clock)
    inbox.stored([message("mad", b"{}")], module.BATCH_S + 1.0)
    inbox.stored([message("mad", b"{}")], module.BATCH_S)
    clock.now_s += 1.0
    for _ in range(50):
        inbox.offer(message("mad", b"{}"))
    assert len([inbox.get(), *inbox.take(999, 1_000_000)]) == 50


def test_a_costly_batch_that_was_never_stored_stops_nobody():
    clock = Clock()
    inbox = Inbox(clock)
    inbox.stored([message("mad", b"{}")], module.BATCH_S + 1.0)
    clock.now_s += 1.0
    for _ in range(2):
        inbox.offer(message("mad", b"{}"))
        assert inbox.get().topic == message("mad").topic


def test_usual_batches_make_no_gate_rest():
    inbox = Inbox()
    batch = [message("laser-1", b"{}")] * wire.ACK_WINDOW
    inbox.stored(batch, module.BATCH_S + len(batch) * module.COSTLY_S * 0.9)
    inbox.offer(batch[0])
    assert inbox.get() == batch[0]


def test_a_gate_that_exceeds_its_window_is_noticed_before_it_is_refused():
    inbox = Inbox()
    for _ in range(2 * wire.ACK_WINDOW):
        inbox.offer(message("laser-1", b"{}"))
    assert not inbox.is_flooded
    while inbox.offer(message("laser-1", b"{}")):
        pass
    assert inbox.is_flooded
    assert inbox.refused() == {"laser-1"}
    assert inbox.refused() == set()
    inbox.take(10_000, 1_000_000_000)
    assert not inbox.is_flooded


@pytest.mark.parametrize(
    ("leaf", "seq", "most"),
    [
        ("event/session/ended", "7", 100),
        ("state", None, 100),
        ("event/gate/started", "1", 10),
        ("event/gate/started", None, 10),
        ("event/journal/forked", "7", 10),
        ("status", None, 10),
    ],
)
def test_a_batch_holds_fewer_of_what_may_change_other_journals(leaf, seq, most):
    inbox = Inbox()
    for _ in range(200):
        inbox.offer(Received(f"fabgate/v1/lyon/mad/{leaf}", b"{}", "j-1", seq))
    assert len(inbox.take(100, 1_000_000)) == most

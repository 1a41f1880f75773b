"""How much may wait between broker and database, and whose messages go when it is too much?"""

from __future__ import annotations

import queue

import pytest

from fabgate import wire
from fabgate.collector import inbox as module
from fabgate.collector.inbox import Connected, Inbox, Lost
from fabgate.collector.received import Received

KB_60 = b"x" * 60_000


def message(gate: str, body: bytes = KB_60, leaf: str = "event/gate/started") -> Received:
    return Received(f"fabgate/v1/lyon/{gate}/{leaf}", body)


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


def test_a_word_about_the_connection_always_fits(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    inbox = Inbox()
    assert inbox.offer(message("laser-1", b""))
    assert not inbox.offer(message("laser-2", b""))
    inbox.post(Lost("away"))
    inbox.post(Connected())
    assert [inbox.get(timeout_s=1) for _ in range(3)][1:] == [Lost("away"), Connected()]
    with pytest.raises(queue.Empty):
        inbox.get()

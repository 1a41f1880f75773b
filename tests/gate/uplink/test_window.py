"""How many entries await the collector's acknowledgement: alone, and in a crowd before a broker with a small queue."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from fabgate.gate.uplink.delivery import Delivery
from fabgate.gate.uplink.window import FIRST, LEAST, AckWindow
from fabgate.wire import ACK_WINDOW


def grown(entries: int) -> AckWindow:
    """A window after so many entries were acknowledged, a windowful at a time."""
    window = AckWindow()
    while entries > 0:
        some = min(entries, window.size)
        window.acknowledged(some)
        entries -= some
    return window


def test_it_begins_with_little_and_doubles_with_every_windowful_up_to_its_most() -> None:
    window, sizes = AckWindow(), []
    for _ in range(7):
        sizes.append(window.size)
        window.acknowledged(window.size)
    assert sizes == [20, 40, 80, 160, 320, 400, 400]
    assert sizes[0] == FIRST
    assert sizes[-1] == ACK_WINDOW


def test_after_a_loss_it_doubles_only_up_to_a_quarter_and_then_grows_by_one_for_each_windowful() -> None:
    window = grown(60)
    assert window.size == 80
    window.lost()
    sizes = []
    for _ in range(6):
        sizes.append(window.size)
        window.acknowledged(window.size)
    assert sizes == [10, 20, 21, 22, 23, 24]
    assert sizes[0] == LEAST


def test_a_collector_that_is_away_is_no_crowd() -> None:
    window = grown(60)
    window.lost()
    for _ in range(10):
        window.lost()  # nobody answers: publishing begins again, and again
    for _ in range(10):
        window.acknowledged(window.size)
    assert 20 < window.size < 30  # what was learnt at the one loss that came after an acknowledgement
    never_answered = AckWindow()
    for _ in range(10):
        never_answered.lost()
    for _ in range(10):
        never_answered.acknowledged(never_answered.size)
    assert never_answered.size == ACK_WINDOW


def test_after_a_quiet_time_it_begins_with_little_again_but_never_with_more_than_it_had() -> None:
    window = grown(5_000)
    window.begin()
    assert window.size == FIRST
    window.lost()
    window.begin()
    assert window.size == LEAST


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_it_stays_within_its_bounds(seed: int) -> None:
    random, window = Random(seed), AckWindow()
    for _ in range(500):
        match random.randrange(8):
            case 0:
                window.lost()
            case 1:
                window.begin()
            case _:
                window.acknowledged(random.randint(1, window.size))
        assert LEAST <= window.size <= ACK_WINDOW


# --- a crowd ----------------------------------------------------------------------------------------------------------


class FixedWindow(AckWindow):
    """What a gate without memory would do."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def begin(self) -> None:
        """Learn nothing."""

    def acknowledged(self, entries: int) -> None:
        """Learn nothing."""

    def lost(self) -> None:
        """Learn nothing."""


def acknowledge(stream: Delivery, stored: set[int], now_ms: int) -> None:
    """Say up to which entry nothing is missing, where that is news."""
    seq = stream.mark
    while seq + 1 in stored:
        seq += 1
    if seq > stream.mark:
        stream.ack(seq, same_history=True, now_ms=now_ms)


def delivered(gates: int, entries: int, *, keeps: int, fixed: int = 0) -> tuple[float, int]:
    """Return how many seconds it takes until all is acknowledged, and how much is dropped, in a time of its own.

    The broker confirms everything at once and `keeps` so many for the collector, who stores five a millisecond and
    acknowledges what is whole. An untouched Mosquitto keeps a thousand, and twenty in flight.
    """
    random = Random(1)
    streams = [Delivery(floor=1, head=entries + 1, mark=1, jitter=random.random) for _ in range(gates)]
    for stream in streams:
        if fixed:
            stream._window = FixedWindow(fixed)
        stream.connect(0)
    stored = [{1} for _ in streams]
    queue: deque[tuple[int, int]] = deque()
    dropped = now_ms = 0
    while any(stream.mark < stream.head for stream in streams):
        for gate in random.sample(range(gates), gates):
            stream = streams[gate]
            stream.due(now_ms)
            for _ in range(min(20, stream.room())):
                if len(queue) < keeps:
                    queue.append((gate, stream.next))
                else:
                    dropped += 1
                stream.sent(stream.next)
                stream.puback()
        for gate, seq in [queue.popleft() for _ in range(min(5, len(queue)))]:
            stored[gate].add(seq)
            acknowledge(streams[gate], stored[gate], now_ms)
        now_ms += 1
        assert now_ms < 400_000, "never"
    return now_ms / 1000, dropped


@pytest.mark.parametrize(("gates", "entries"), [(20, 1_000), (50, 400)])
def test_a_crowd_learns_what_an_untouched_broker_keeps(gates: int, entries: int) -> None:
    took_s, dropped = delivered(gates, entries, keeps=1_020)
    without_s, dropped_without = delivered(gates, entries, keeps=1_020, fixed=ACK_WINDOW)
    assert took_s < 30  # twice at most somebody waits for the ten seconds after which entries are sent again
    assert took_s < 0.7 * without_s
    assert dropped < 0.2 * dropped_without


def test_where_nothing_is_dropped_it_costs_nothing() -> None:
    took_s, dropped = delivered(20, 1_000, keeps=100_000)
    assert dropped == 0
    assert took_s == pytest.approx(delivered(20, 1_000, keeps=100_000, fixed=ACK_WINDOW)[0], rel=0.02)

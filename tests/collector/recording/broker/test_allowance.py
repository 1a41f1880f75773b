"""How much may one gate have stored?"""

from __future__ import annotations

import pytest

from fabgate.collector.recording.broker import allowance
from fabgate.collector.recording.broker.allowance import MOST_BYTES, STORED_BYTES, Allowance
from fabgate.collector.recording.broker.inbox import Inbox
from fabgate.collector.recording.broker.message import Received

DAY_S = 86_400.0
MIB = 1024 * 1024


def spent(found: Allowance, now_s: float, size: int = 32 * 1024) -> int:
    """Return how many bytes of messages of `size` one takes before it is refused."""
    taken = 0
    while found.spend(size, now_s):
        taken += size + STORED_BYTES
    return taken


def test_the_most_that_a_gate_keeps_fits_at_once():
    found = Allowance(0.0)
    assert all(found.spend(700, 0.0) for _ in range(100_000))


def test_what_one_gate_may_store_is_bounded_and_grows_by_as_much_a_day():
    found = Allowance(0.0)
    assert spent(found, 0.0) == pytest.approx(MOST_BYTES, abs=MIB)
    assert spent(found, 1.0) < MIB
    assert spent(found, DAY_S / 2) == pytest.approx(MOST_BYTES / 2, abs=MIB)
    assert spent(found, 30 * DAY_S) == pytest.approx(MOST_BYTES, abs=MIB), "what was not used is not saved up"


@pytest.mark.parametrize("every_s", [1.0, 60.0, 3_600.0])
def test_asking_more_often_brings_no_more_in_a_day(every_s):
    found, now_s, taken = Allowance(0.0), 0.0, 0
    taken += spent(found, now_s)
    while now_s < DAY_S:
        now_s += every_s
        taken += spent(found, now_s, 4_000)
    assert taken == pytest.approx(2 * MOST_BYTES, rel=0.05)


def test_the_inbox_limits_one_gate_and_accepts_everything_of_the_others(monkeypatch):
    monkeypatch.setattr(allowance, "MOST_BYTES", 10 * (STORED_BYTES + 2))
    inbox = Inbox(lambda: 0.0)

    def sent(gate: str) -> bool:
        taken = inbox.offer(Received(f"fabgate/v1/lyon/{gate}/event/x/y", b"{}"))
        inbox.take(10, MIB)
        return taken

    assert [sent("mad") for _ in range(12)] == [True] * 10 + [False] * 2
    assert sent("laser-1")
    assert inbox.refused() == {"mad"}

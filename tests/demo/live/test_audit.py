"""The audit of a running gate: what agrees, what is on its way, and which differences last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from fabgate import wire
from fabgate.demo.books import TOLERANCE_MS, read
from fabgate.demo.books import ended as over
from fabgate.demo.live.audit import Audit
from fabgate.demo.observer import Powered
from tests.demo.entries import MS, ONE, ended, entry, powered, started

CLOCK = wire.Clock(boot="b", boottime_ms=MS)
ROW = {"session": "s1", "member": "m-1", "energised_ms": 1000, "uncertainty_ms": 0, "reason": "badge"}


@dataclass
class Gate:
    """A gate whose journal, pins and delivery are as the test says; it counts how often its journal was read."""

    bodies: list[bytes] = field(default_factory=list)
    seen: list[Powered] = field(default_factory=list)
    behind: int = 0
    boots: dict[str, int] = field(default_factory=dict)

    @property
    def observer(self) -> Gate:
        return self

    tolerance_ms, outlives_ms = TOLERANCE_MS, 0

    def stretches(self) -> list[Powered]:
        return self.seen

    def waiting(self) -> int:
        return self.behind

    def entries(self, after: int = 0) -> list[bytes]:
        return self.bodies[after:]


@pytest.fixture
def gate() -> Gate:
    return Gate()


class Time:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def audit(gate: Gate, time: Time) -> Audit:
    return Audit(gate, time)  # type: ignore[arg-type]


def stored(*rows: dict[str, Any]) -> Any:
    return lambda: rows


def test_a_session_that_all_three_know_agrees(gate: Gate, audit: Audit) -> None:
    gate.bodies, gate.seen = [*ONE], [powered(1010, 2010)]
    found = audit.look(stored(ROW))
    assert (found.sessions, found.energised_ms, found.wrong) == (1, 1000, ())


def test_a_session_that_runs_is_left_out_with_its_power_and_with_what_was_handed_over_to_it(
    gate: Gate, audit: Audit, time: Time
) -> None:
    gate.bodies = [*ONE, started(3, "s2", 3000)]
    gate.seen = [powered(1010, 2010), powered(3010, 9000)]
    assert audit.look(stored(ROW)).sessions == 1
    gate.bodies += [ended(4, "s2", 4000, 1000, reason="handover"), started(5, "s3", 4000, since=3000)]
    audit.look(stored(ROW))
    time.now_s += 5
    found = audit.look(stored(ROW))
    assert (found.sessions, found.wrong) == (1, ())


def test_what_is_on_its_way_is_counted_and_is_no_disagreement(gate: Gate, audit: Audit, time: Time) -> None:
    gate.bodies, gate.seen, gate.behind = [*ONE], [powered(1010, 2010)], 2
    for time.now_s in (0.0, 5.0):
        found = audit.look(stored())
        assert (found.waiting, found.wrong) == (2, ())


def test_a_difference_is_reported_once_it_lasts_and_is_forgotten_when_it_is_gone(
    gate: Gate, audit: Audit, time: Time
) -> None:
    gate.bodies, gate.seen = [*ONE], []
    assert audit.look(stored(ROW)).wrong == ()
    time.now_s = 0.9
    assert audit.look(stored(ROW)).wrong == ()
    time.now_s = 1.1
    assert "the pins were on for 0 ms" in audit.look(stored(ROW)).wrong[0]
    gate.seen = [powered(1010, 2010)]
    assert audit.look(stored(ROW)).wrong == ()
    gate.seen = [powered(1010, 2510)]
    assert audit.look(stored(ROW)).wrong == ()  # a new doubt has its own second


def test_a_session_that_the_collector_does_not_have_is_reported(gate: Gate, audit: Audit, time: Time) -> None:
    gate.bodies, gate.seen = [*ONE], [powered(1010, 2010)]
    audit.look(stored())
    time.now_s = 2
    assert "is not at the collector" in audit.look(stored()).wrong[0]


def test_nothing_new_asks_nobody(gate: Gate, audit: Audit) -> None:
    gate.bodies, gate.seen = [*ONE], [powered(1010, 2010)]
    first = audit.look(stored(ROW))

    def nobody() -> Any:
        raise AssertionError("asked although nothing has changed")

    assert audit.look(nobody) is first


def test_the_last_refusal_stays_until_a_session_begins(gate: Gate, audit: Audit) -> None:
    refused = wire.AccessRefused(clock=CLOCK, badge="d", reasons=["expired", "in-use"], member="m-4")
    gate.bodies = [entry(1, "access.refused", refused)]
    audit.look(stored())
    assert audit.refusal == {"member": "m-4", "reasons": ["expired", "in-use"]}
    gate.bodies += [started(2, "s1", 1000)]
    audit.look(stored())
    assert audit.refusal is None


def test_boot_time_that_began_anew_is_laid_beside_the_observers(gate: Gate, audit: Audit) -> None:
    gate.bodies, gate.seen, gate.boots = [*ONE], [powered(61_010, 62_010)], {"b": 60_000}
    assert read(ONE, {"b": 60_000}).sessions["s1"].started_ms == 61_000
    assert audit.look(stored(ROW)).wrong == ()


def test_books_of_which_all_is_over_are_whole() -> None:
    books = read(ONE)
    assert over(books) == (books, None)
    assert over(read([])) == (read([]), None)

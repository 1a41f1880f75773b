"""The last lines of the live demo: the gates' entries in words."""

from __future__ import annotations

from fabgate import wire
from fabgate.demo.live.events import describe
from tests.demo.entries import MS, ended, entry, started

CLOCK = wire.Clock(boot="b", boottime_ms=MS)


def test_a_session_is_described_with_its_member_its_power_and_its_doubt() -> None:
    assert describe(started(1, "s1", 1000)) == "Ada begins a session"
    assert describe(started(1, "s1", 1000, member="m-2", since=900)) == "Bob takes over, the power stays on"
    assert describe(started(1, "s1", 1000, member="m-77")) == "m-77 begins a session"
    assert describe(ended(2, "s1", 2010, 1940)) == "session of Ada ends (badge): 1.9 s of power"
    doubtful = describe(ended(2, "s1", 2010, 1000, reason="restart", doubt_ms=500))
    assert doubtful == "session of Ada ends (restart): 1.0 s of power, perhaps 0.5 s more"


def test_a_refusal_is_described_with_every_reason() -> None:
    stranger = wire.AccessRefused(clock=CLOCK, badge="d", reasons=["unknown-badge", "in-use"])
    assert describe(entry(1, "access.refused", stranger)) == "an unknown badge is refused: unknown-badge, in-use"
    member = wire.AccessRefused(clock=CLOCK, badge="d", reasons=["expired"], member="m-4")
    assert describe(entry(1, "access.refused", member)) == "Mo is refused: expired"


def test_a_machine_out_of_service_is_described_with_its_cause() -> None:
    blocked = wire.MachineBlocked(clock=CLOCK, cause="lock-idle", level="hold", detail="Broken belt")
    assert describe(entry(1, "machine.blocked", blocked)) == "out of service: lock-idle, Broken belt"
    cleared = wire.MachineCleared(clock=CLOCK, cause="lock-idle")
    assert describe(entry(1, "machine.cleared", cleared)) == "no longer out of service: lock-idle"


def test_any_other_entry_is_described_by_its_type() -> None:
    assert describe(entry(1, "reader.fault", wire.Fault(clock=CLOCK, detail="no answer"))) == "reader fault"

"""A gate that is let in again, and the locks that it keeps."""

from __future__ import annotations

from datetime import UTC, datetime

from django.test import Client

from fabgate import wire
from fabgate.collector.members.machines import enrol_gate
from fabgate.collector.recording.intake.store import Store
from fabgate.gate.roster.locks import Locks
from tests.collector.gates import Journal
from tests.collector.rosters import own_roster, token


def hears(kept: Locks, env, name: str = "laser-1") -> Locks:
    """Let a gate fetch its roster, as it does; return the locks that it keeps by then."""
    said = {"Authorization": f"Bearer {token(env, name)}", wire.HEADER_NONCE: "0123456789abcdef"}
    answer = Client().get(f"/api/v1/gates/{name}/roster", headers=said)
    assert answer.status_code == 200
    served = wire.decode(answer.content, wire.Roster)
    status = Journal(gate=name).status(roster=own_roster(version=served.version))
    Store("lyon").store([status], datetime.now(UTC))
    return kept.by_roster(served.machine, served.version)


def let_in_again(machine: str) -> None:
    enrol_gate.enrol("laser-1", machine, actor="eve", new_token=True)

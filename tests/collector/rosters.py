"""A gate that was added, and the roster that it fetches."""

from __future__ import annotations

import argparse
from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.test import Client

from fabgate import wire
from fabgate.collector.cli import gates
from fabgate.collector.ground.models import Collector, Gate, Machine
from fabgate.collector.members.access import roster

NONCE = "0123456789abcdef"


def add(name: str = "laser-1", machine: str = "laser", *, new_token: bool = False, **more: Any) -> None:
    Machine.objects.get_or_create(name=machine)  # with default rules, and called by its name
    gates.add(
        argparse.Namespace(
            name=name,
            machine=machine,
            rules=[],
            title=None,
            preset=None,
            new_token=new_token,
            emulated=False,
            json=True,
            **more,
        )
    )


def token(env, gate: str = "laser-1") -> str:
    return (env.gate_directory(gate) / "token").read_text().strip()


def fetch(env, nonce: str = NONCE, **headers: str) -> Any:
    said = {"Authorization": f"Bearer {token(env)}", wire.HEADER_NONCE: nonce, **headers}
    return Client().get("/api/v1/gates/laser-1/roster", headers={k: v for k, v in said.items() if v})


def served(gate: Gate) -> wire.Roster:
    gate.refresh_from_db()
    return wire.decode(bytes(gate.roster), wire.Roster)


def built(gate: Gate) -> wire.Roster:
    roster.rebuild()
    return served(gate)


def admitted(gate: Gate) -> wire.Member:
    (found,) = built(gate).members
    return found


def refused(gate: Gate) -> list[str]:
    found = built(gate)
    assert found.members == []
    return found.refusals[0].reasons


def last_day(gate: Gate) -> str | None:
    found = admitted(gate)
    assert found.grace_days == 0
    return found.valid_until


class Clock:
    """The collector's clock, which is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).replace(hour=23, minute=59)
        monkeypatch.setattr(roster, "datetime", self)

    def now(self, zone: tzinfo) -> datetime:
        """Return what it says."""
        return self.at.astimezone(zone)


def own_roster(**said: Any) -> wire.RosterInfo:
    """Return what a gate says of a roster that this collector made."""
    return wire.RosterInfo(source=f"collector:{Collector.get('lyon').collector}", **said)

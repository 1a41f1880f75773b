"""A bandsaw with its gate, and what a browser sends of the form of its rules.

Import `a_saw` and `a_gate` into a test module: they are the fixtures `saw` and `gate`.
"""

from __future__ import annotations

from typing import Any

import pytest

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.machines import presets
from fabgate.collector.models import Gate, Machine


@pytest.fixture(name="saw")
def a_saw() -> Machine:
    machine = Machine(name="saw", title="Bandsaw", category="wood")
    presets.apply(machine, "saw")
    machine.save()
    return machine


@pytest.fixture(name="gate")
def a_gate(saw) -> Gate:
    found = Gate.objects.create(name="saw-1", machine=saw, token_hash="x")
    roster.rebuild()
    found.refresh_from_db()
    return found


def served(gate: Gate) -> wire.Roster:
    gate.refresh_from_db()
    return wire.decode(bytes(gate.roster), wire.Roster)


def typed(machine: Machine, **changed: str) -> dict[str, str]:
    """Return what a browser sends of the form of all rules."""
    from fabgate.collector.pages.machines.forms import RulesForm

    fields = RulesForm(machine=machine)
    found = {field.name: field.value() for field in fields}
    sent = {
        name: "on" if value is True else str(value)
        for name, value in found.items()
        if value is not None and value is not False
    }
    return sent | changed


def text(response: Any) -> str:
    return response.content.decode()

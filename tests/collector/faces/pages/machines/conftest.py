"""A bandsaw with its gate."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Gate, Machine
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import presets


@pytest.fixture
def saw() -> Machine:
    machine = Machine(name="saw", title="Bandsaw", category="wood")
    presets.apply(machine, "saw")
    machine.save()
    return machine


@pytest.fixture
def gate(saw) -> Gate:
    found = Gate.objects.create(name="saw-1", machine=saw, token_hash="x")
    roster.rebuild()
    found.refresh_from_db()
    return found

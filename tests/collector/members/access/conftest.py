"""A member and a training; the machine is that of the gate of the test."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Member, Training
from tests.collector.grants import give_badge


@pytest.fixture
def ada(gate) -> Member:
    """A member with a badge and nothing else."""
    member = Member.objects.create(id="m-1", name="Ada Lovelace")
    give_badge(member)
    return member


@pytest.fixture
def laser(gate) -> Training:
    training = Training.objects.create(name="laser")
    training.machines.add(gate.machine)
    return training

"""A machine without a gate."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Machine


@pytest.fixture
def saw(env) -> Machine:
    return Machine.objects.create(name="saw", title="Bandsaw")

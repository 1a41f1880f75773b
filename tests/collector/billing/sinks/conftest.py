"""The books that every sink is to get."""

from __future__ import annotations

import pytest

from tests.collector.billing.sinks.sent import two_closed_months
from tests.collector.pages.used import Used


@pytest.fixture
def books(database) -> Used:
    return two_closed_months()

"""The books that every program is to get."""

from __future__ import annotations

import pytest

from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.sinks.sent import two_closed_months


@pytest.fixture
def books(database) -> Used:
    return two_closed_months()

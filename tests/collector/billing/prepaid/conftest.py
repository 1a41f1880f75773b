"""A workshop in which m-1 prepays."""

from __future__ import annotations

import pytest

from fabgate.collector.billing.prepaid import modes
from tests.collector.billing.booked import FIRST
from tests.collector.pages.used import Used


@pytest.fixture
def prepaid_shop(billed_shop: Used) -> Used:
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    return billed_shop

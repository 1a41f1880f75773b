"""A workshop in which m-1 prepays."""

from __future__ import annotations

import pytest

from fabgate.collector.money.billing.prepaid import modes
from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import FIRST


@pytest.fixture
def prepaid_shop(billed_shop: Used) -> Used:
    modes.set_mode("m-1", FIRST, prepays=True, actor="eve")
    return billed_shop

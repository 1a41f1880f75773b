"""A workshop of which something is billed."""

from __future__ import annotations

import pytest

from tests.collector.faces.pages.used import Used
from tests.collector.money.billing.booked import billed


@pytest.fixture
def billed_shop(shop: Used) -> Used:
    billed()
    return shop

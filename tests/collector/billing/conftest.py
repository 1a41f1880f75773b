"""A workshop of which something is billed."""

from __future__ import annotations

import pytest

from tests.collector.billing.booked import billed
from tests.collector.pages.used import Used


@pytest.fixture
def billed_shop(shop: Used) -> Used:
    billed()
    return shop

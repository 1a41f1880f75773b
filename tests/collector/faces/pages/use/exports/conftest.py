"""Two sessions and a refusal to export."""

from __future__ import annotations

import pytest

from tests.collector.faces.pages.used import MINUTE, NOON, Used


@pytest.fixture
def used(shop: Used) -> Used:
    shop.begin("s-1", "m-1", NOON)
    shop.end("s-1", "m-1", NOON + 30 * MINUTE, 1_799_877, energy_wh=340)
    shop.session("s-2", "m-4", NOON + 60 * MINUTE, 20, gate="lathe-1", reason="power-loss", uncertainty_ms=900_001)
    shop.refuse("b" * 64, "m-1", NOON, "expired", "training-missing")
    return shop

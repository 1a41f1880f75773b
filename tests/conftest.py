"""How do property tests run here? The same every time in ``make test``, and at random in the soak.

No example has a time limit: this runs beside other things, and nothing here is a timed test.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import is_hypothesis_test, settings

settings.register_profile("test", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=1_000)
settings.load_profile("soak" if os.environ.get("FABGATE_SOAK") else "test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each property, so that the soak finds it: it looks further there than in ``make test``."""
    for item in items:
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
            item.add_marker("chance")

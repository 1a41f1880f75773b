"""The drivers of these tests may open emulated hardware."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fabgate.drivers import EMULATORS
from fabgate.testing import emulated_hardware


@pytest.fixture(scope="package", autouse=True)
def emulators() -> Iterator[None]:
    emulated_hardware.provide()
    yield
    EMULATORS.clear()

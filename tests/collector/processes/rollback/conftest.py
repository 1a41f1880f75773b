"""A workshop for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector.processes.rollback.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A workshop with one gate, which the older version serves."""
    found = Workshop(tmp_path)
    found.open()
    return found

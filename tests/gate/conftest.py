"""A gate in this process, started or not yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gate.shell import Bench, running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Bench]:
    """A gate that is not started yet."""
    found = Bench(tmp_path)
    yield found
    found.close()

"""The journal of a gate with one session."""

from __future__ import annotations

import pytest

from tests.collector.gates import Journal


@pytest.fixture
def journal() -> Journal:
    written = Journal()
    written.write("gate.started", version="1")
    written.start("s-1")
    written.progress("s-1", 900_000)
    written.end("s-1", 1_234_567, running_ms=1_000_000)
    return written

"""A Pi with a gate that runs, in a folder that other accounts may enter, as /etc/fabgate and unlike those of pytest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.gate.doctor.emulated_pi import EmulatedPi


@pytest.fixture
def pi() -> Iterator[EmulatedPi]:
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        found = EmulatedPi(Path(name))
        yield found
        found.close()

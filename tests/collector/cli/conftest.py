"""A collector that several files of verbs begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collector.cli.test_verbs import environment, run


@pytest.fixture
def in_paris(tmp_path) -> Path:
    """A collector that was served from Paris once."""
    home = tmp_path / "data"
    assert (
        run(environment(home, FABGATE_TZ="Europe/Paris"), "gate-add", "laser-1", "--machine", "laser").returncode == 0
    )
    return home

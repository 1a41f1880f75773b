"""A collector that several files of verbs begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.collector.running import environment, run


@pytest.fixture(scope="session")
def first_in_paris(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("paris") / "data"
    env = environment(home, FABGATE_TZ="Europe/Paris")
    assert run(env, "gate-add", "laser-1", "--machine", "laser").returncode == 0
    return home


@pytest.fixture
def in_paris(first_in_paris, tmp_path) -> Path:
    """A collector that was served from Paris once."""
    return Path(shutil.copytree(first_in_paris, tmp_path / "data"))

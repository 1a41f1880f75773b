"""A computer with an installation by hand, and the program as a package has it."""

from __future__ import annotations

from functools import wraps

import pytest

from fabgate import installed
from fabgate.by_hand import use_package
from tests.by_hand.emulated import Emulated


@pytest.fixture
def computer(tmp_path) -> Emulated:
    return Emulated(tmp_path)


@pytest.fixture(autouse=True)
def _as_package(monkeypatch):
    """Let the program be that of the package whose command is called."""
    run = use_package.run

    @wraps(run)
    def called(computer, part, **more):
        monkeypatch.setattr(installed, "package", lambda: part.package)
        return run(computer, part, **more)

    monkeypatch.setattr(use_package, "run", called)

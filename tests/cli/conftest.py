"""A gate that runs, and the configuration of one that never ran."""

from __future__ import annotations

import pytest

from tests.cli.running import (
    RunningGate,
    run_fabgate,
    status_of,
    write_gate,
)
from tests.support.patience import wait


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """A gate that runs, with one session of Ada's behind it."""
    found = RunningGate(tmp_path_factory.mktemp("gate") / "laser-1")
    for card, state in (("04:A1:B2:C3", "active"), ("04:A1:B2:C5", "idle")):  # both are Ada's
        tapped = run_fabgate("tap", found.control, card, "--for", "200")
        assert (tapped.returncode, tapped.stderr) == (0, "")
        wait(lambda wanted=state: status_of(found.folder).get("state") == wanted, state)
    yield found
    if found.process.poll() is None:
        found.stop()


@pytest.fixture
def config(tmp_path):
    """A configuration whose gate never ran."""
    return write_gate(tmp_path / "gate")

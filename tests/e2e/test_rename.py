"""A gate gets another name: nothing of the old one is lost, and the broker forgets it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fabgate.demo.process import wait_for
from fabgate.demo.workshop import Workshop
from tests.e2e import ledger
from tests.e2e.test_restored import opened, use

pytestmark = [pytest.mark.broker]


def renamed(gate) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fabgate", "rename", "--config", str(gate.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_renamed_gate_delivers_under_its_old_name_first_and_names_the_old_journal(workshop: Workshop) -> None:
    gate = opened(workshop)
    gate.cable.pull()
    use(gate, "bob")
    assert gate.process.end() == 0
    old = ledger.journal_id(gate)
    old_entries = ledger.journal(gate)
    config = json.loads(gate.config.read_text())
    gate.config.write_text(json.dumps({**config, "gate": "laser-2"}))

    gate.process.start()
    wait_for("the refusal of another's journal", lambda: "fabgate rename" in gate.process.words())
    gate.process.end()

    gate.cable.plug()
    done = renamed(gate)
    assert done.returncode == 0, done.stderr
    assert "demo/laser-1 is now demo/laser-2" in done.stdout
    assert ledger.stored(workshop, old) == old_entries

    gate.start()
    use(gate, "ada")
    wait_for("delivery", gate.settled)
    first = json.loads(ledger.journal(gate)[1])
    assert first["data"]["replaces"] == old
    assert len(workshop.sessions()) == 3
    assert "already" in renamed_again(gate)


def renamed_again(gate) -> str:
    assert gate.process.end() == 0
    return renamed(gate).stdout

"""Renames a gate: no entry under the old name is lost, and the broker forgets that name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.waiting import wait_for
from tests.e2e import records
from tests.e2e.use import start_gate, use

pytestmark = [pytest.mark.broker]


def rename(gate) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fabgate", "rename", "--config", str(gate.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_renamed_gate_first_delivers_under_its_old_name_and_names_the_old_journal(workshop: Workshop) -> None:
    gate = start_gate(workshop)
    gate.cable.pull()
    use(gate, "bob")
    assert gate.process.end() == 0
    old = records.journal_id(gate)
    old_entries = records.journal(gate)
    config = json.loads(gate.config.read_text())
    gate.config.write_text(json.dumps({**config, "gate": "laser-2"}))

    gate.process.start()
    wait_for("the refusal of another gate's journal", lambda: "fabgate rename" in gate.process.last_lines())
    gate.process.end()

    gate.cable.plug()
    done = rename(gate)
    assert done.returncode == 0, done.stderr
    assert "demo/laser-1 is now demo/laser-2" in done.stdout
    assert records.stored(workshop, old) == old_entries

    gate.start()
    use(gate, "ada")
    wait_for("delivery", gate.settled)
    first = json.loads(records.journal(gate)[1])
    assert first["data"]["replaces"] == old
    assert len(workshop.sessions()) == 3
    assert "already" in rename_again(gate)


def rename_again(gate) -> str:
    assert gate.process.end() == 0
    return rename(gate).stdout

"""A machine's gates on its page, and the machine to which they belong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fabgate.collector.ground.models import Change, Gate, Machine
from fabgate.collector.members.machines import enrol_gate
from fabgate.errors import UsageError
from tests.collector.faces.pages.counter import text
from tests.collector.faces.pages.machines.rules_form import typed
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env", "told")


def test_a_gate_moves_and_the_lock_of_the_machine_before_does_not_hold_it(browse, saw, gate):
    old = saw.set_lock("idle", "Belt broken", "", by="maya", at=datetime.now(UTC))
    saw.save()
    Machine.objects.create(name="new-saw")
    answer = browse("maintainer").post("/machines/new-saw/gates/move", {"moved": gate.pk})
    assert answer.status_code == 303
    found = served(gate)
    assert gate.machine.name == "new-saw"
    assert found.machine.lock is None
    assert old.id in found.machine.lifted
    assert Change.objects.get(verb="gate.moved").key == "saw-1"


def test_a_gate_that_is_not_there_cannot_move(browse, saw):
    answer = browse("manager").post("/machines/saw/gates/move", {"moved": ""})
    assert answer.status_code == 400
    assert "Choose a gate" in text(answer)


def test_the_page_says_which_gates_know_what_was_saved(browse, saw, gate):
    client = browse("manager")
    client.post("/machines/saw/rules", typed(saw, limit_s="90"))
    assert "Not yet applied on the gate; Bandsaw has not reported yet" in text(client.get("/machines/saw"))
    gate.refresh_from_db()
    Gate.objects.update(reported_roster=gate.roster_version)
    assert "Applied on the gate" in text(client.get("/machines/saw"))


@pytest.mark.parametrize("name", ["new", "calendar"])
def test_no_command_makes_a_machine_whose_page_nobody_could_open(name):
    with pytest.raises(UsageError, match="is reserved for a page"):
        enrol_gate.enrol("saw-9", name, actor="cli:maya")
    assert not Machine.objects.exists()

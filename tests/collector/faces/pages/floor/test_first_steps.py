"""Does a new collector show its first steps, each ticked once done, only to those who may take them?"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from fabgate.collector.ground.models import Badge, Gate, Machine, Member, Training

pytestmark = pytest.mark.usefixtures("database")


def steps(client) -> dict[str, tuple[bool, str]]:
    """Return, by step, whether it is ticked, and the address of its button."""
    page = client.get("/floor").content.decode()
    found = re.findall(r'<li id="step-(\w+)"( class="done")?>(.*?)</li>', page, re.DOTALL)
    return {
        name: (bool(done), "".join(re.findall(r'<a role="button"[^>]* href="([^"]*)"', body)))
        for name, done, body in found
    }


def test_each_step_is_ticked_once_done_and_they_disappear_together(browse):
    client = browse("manager")
    assert steps(client) == {
        "machine": (False, "/machines/new"),
        "gate": (False, ""),
        "person": (False, "/people/new"),
        "training": (False, "/people/trainings/new"),
        "badge": (False, ""),
    }
    saw = Machine.objects.create(name="saw")
    assert (steps(client)["machine"], steps(client)["gate"]) == ((True, ""), (False, "/joins/new?machine=saw"))
    Gate.objects.create(name="saw-1", machine=saw)
    ada = Member.objects.create(id="m-1", name="Ada")
    Training.objects.create(name="saws", title="Saws")
    assert [name for name, (is_done, _) in steps(client).items() if not is_done] == ["badge"]
    assert steps(client)["badge"] == (False, "/people/m-1#badges-title")
    Badge.objects.create(member=ada, digest="d" * 64, since=datetime(2026, 1, 1, tzinfo=UTC))
    assert steps(client) == {}


def test_a_role_sees_only_the_steps_that_it_may_take(browse):
    assert steps(browse("desk")).keys() == {"person", "badge"}
    assert steps(browse("maintainer")).keys() <= {"machine", "gate"}
    assert steps(browse("trainer")).keys().isdisjoint({"machine", "gate", "person", "badge"})


def test_individual_access_does_as_well_as_a_training(browse):
    client = browse("manager")
    saw, ada = Machine.objects.create(name="saw"), Member.objects.create(id="m-1", name="Ada")
    assert steps(client)["training"][0] is False
    ada.machines.add(saw)
    assert steps(client)["training"][0] is True

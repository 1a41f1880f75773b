"""Does a form that is saved while a machine is retired leave that machine alone?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fabgate.collector.ground.models import Group, Machine, Member, Training
from tests.collector.faces.pages.counter import text

pytestmark = pytest.mark.usefixtures("house")


def as_shown(page) -> dict[str, object]:
    """Return what a browser sends when the form of a page is saved as it is."""
    form = page.context["form"]
    sent = {field.name: field.value() for field in form if not field.field.disabled}
    return {name: value for name, value in sent.items() if value is not None and value is not False} | {
        "seen": form.seen
    }


def rows() -> dict[str, tuple[object, str]]:
    """Return a training, a person and a group that have the laser, with the pages that change them."""
    training, person = Training.objects.get(name="laser"), Member.objects.get(pk="m-1")
    group = Group.objects.create(name="5b", kind="class")
    laser = Machine.objects.get(name="laser")
    person.machines.add(laser)
    group.machines.add(laser)
    return {
        "training": (training, f"/people/trainings/{training.pk}/edit"),
        "person": (person, f"/people/{person.pk}/edit"),
        "group": (group, f"/people/groups/{group.pk}/edit"),
    }


@pytest.mark.parametrize("which", ["training", "person", "group"])
def test_a_retired_machine_stays_where_it_was_ticked_until_somebody_takes_it_away(manager, which):
    row, address = rows()[which]
    Machine.objects.filter(name="laser").update(retired_at=datetime.now(UTC))
    page = manager.get(address)
    assert "Laser (retired)" in text(page)
    assert manager.post(address, as_shown(page)).status_code == 303
    assert [machine.name for machine in row.machines.all()] == ["laser"]
    assert manager.post(address, {**as_shown(manager.get(address)), "machines": []}).status_code == 303
    assert not row.machines.exists()
    assert "Laser (retired)" not in text(manager.get(address))

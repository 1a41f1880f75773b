"""What a browser sends of the form of a machine's rules."""

from __future__ import annotations

from fabgate.collector.ground.models import Machine


def typed(machine: Machine, **changed: str) -> dict[str, str]:
    """Return what a browser sends of the form of all rules."""
    from fabgate.collector.faces.pages.machines.forms import RulesForm

    fields = RulesForm(machine=machine)
    found = {field.name: field.value() for field in fields}
    sent = {
        name: "on" if value is True else str(value)
        for name, value in found.items()
        if value is not None and value is not False
    }
    return sent | changed

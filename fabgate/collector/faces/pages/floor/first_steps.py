"""The first steps in a new collector (add a machine, its gate, a person, a training and a badge), with links."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import rights
from fabgate.collector.ground.models import Badge, Gate, Machine, Member, Training


@dataclass(frozen=True, slots=True)
class FirstStep:
    """A step; `url` is empty while an earlier step must come first."""

    name: str
    title: str
    text: str
    url: str
    is_done: bool
    #: Whether it is the first one that is not done.
    is_next: bool = False


def of(role: str) -> list[FirstStep]:
    """Return the steps that `role` may take, or none once all of these are done."""
    steps = [step for route, step in _steps() if rights.may(role, route, "POST")]
    first = next((step for step in steps if not step.is_done), None)
    return [replace(step, is_next=step is first) for step in steps] if first else []


def _steps() -> list[tuple[str, FirstStep]]:
    """Return every step with the route that it uses."""
    machine = Machine.objects.filter(retired_at=None).order_by("id").first()
    member = Member.objects.filter(left_on=None).order_by("id").first()
    has_gate = Gate.objects.exclude(machine=None).exists()
    has_badge = Badge.objects.filter(ended_at=None).exists()
    gate_url = f"{reverse('joins-new')}?machine={machine.name}" if machine else ""
    badge_url = f"{reverse('people-one', args=[member.pk])}#badges-title" if member else ""
    return [
        (
            "machines-new",
            FirstStep(
                "machine",
                _("Add a machine"),
                _("The machine's name, and how a badge switches it on and off."),
                reverse("machines-new"),
                is_done=machine is not None,
            ),
        ),
        (
            "joins-new",
            FirstStep(
                "gate", _("Connect its gate"), _("The Raspberry Pi next to the machine."), gate_url, is_done=has_gate
            ),
        ),
        (
            "people-new",
            FirstStep(
                "person",
                _("Add a person"),
                _("One by one, or from a list of members."),
                reverse("people-new"),
                is_done=member is not None,
            ),
        ),
        (
            "people-training-new",
            FirstStep(
                "training",
                _("Add a training"),
                _("A training gives access to machines."),
                reverse("people-training-new"),
                # individual access is enough
                is_done=Training.objects.exists() or Member.machines.through.objects.exists(),
            ),
        ),
        (
            "people-give",
            FirstStep(
                "badge",
                _("Assign a badge"),
                _("The holder of a badge starts machines with it."),
                badge_url,
                is_done=has_badge,
            ),
        ),
    ]

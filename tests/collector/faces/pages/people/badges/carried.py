"""The badges that people carry, and those with which a gate lets them in."""

from __future__ import annotations

from fabgate import badge
from fabgate.collector.ground.models import Badge
from fabgate.collector.members.people.badges import Card
from tests.collector.faces.pages.counter import served


def digest(spelling: str) -> str:
    return Card.spelled(badge.parse(spelling)).digest


def carried(pk: str) -> list[str]:
    return list(Badge.objects.filter(member=pk, ended_at=None).values_list("spelling", flat=True))


def of(gate: str, pk: str) -> list[str]:
    """Return the badges with which a gate lets somebody in."""
    return next((member.badges for member in served(gate).members if member.id == pk), [])

"""Payers for tests: members who pay for others, and organisations."""

from __future__ import annotations

from typing import Any

from fabgate.collector.ground.models import Payer
from fabgate.collector.ground.models.people import ORGANISATION_PREFIX


def paying(member: str) -> Payer:
    """Return the payer that a member is, stored."""
    return Payer.objects.get_or_create(pk=member, defaults={"member_id": member})[0]


def organisation(name: str = "Université Lumière", number: int = 1, **more: Any) -> Payer:
    """Return an organisation that is stored."""
    return Payer.objects.create(id=f"{ORGANISATION_PREFIX}{number}", name=name, **more)

"""Makes the one-time link of the first manager, which is printed at every start while there is no manager."""

from __future__ import annotations

from django.urls import reverse

from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account, OneTimeLink
from fabgate.collector.members.accounts import links


def when_needed(env: Environment) -> str | None:
    """Return a new link, or None if a manager can sign in. Links that were printed earlier stop working."""
    if Account.has_manager():
        return None
    return address(env, links.make(OneTimeLink.FIRST, None, audit.START))


def address(env: Environment, token: str) -> str:
    """Return the address that a person opens."""
    return env.address + reverse("welcome", args=[token])

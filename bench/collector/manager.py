"""Signs managers in and adds gates, in a process of the collector."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client

from fabgate.collector.ground.models import Account, Machine, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import enrol_gate


def signed_in(**options: object) -> Client:
    """Return a browser in which a manager is signed in."""
    account, _made = Account.objects.get_or_create(name="bench", defaults={"role": "manager", "password": "!"})
    client = Client(**options)  # type: ignore[arg-type]  # Django's own
    client.force_login(account)
    return client


def cookies(count: int) -> tuple[list[str], str]:
    """Return the Cookie headers of browsers in which a manager is signed in, and the CSRF token of their forms."""
    token, found = _get_new_csrf_string(), []
    for _ in range(count):
        session = signed_in().cookies[settings.SESSION_COOKIE_NAME].value
        found.append(f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={token}")
    return found, token


def gates(names: Sequence[str]) -> list[str]:
    """Add gates, each with a machine that every member may use; return the folders of their keys."""
    found = [str(enrol_gate.enrol(name, f"machine-of-{name}", actor="cli:bench").directory) for name in names]
    machines = list(Machine.objects.filter(name__startswith="machine-of-"))
    for member in Member.objects.all():
        member.machines.add(*machines)
    roster.rebuild()
    return found

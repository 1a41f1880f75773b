"""Cuts a gate off: its token and its account at the broker end in one step."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from fabgate.collector.ground.base import called, data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Gate
from fabgate.collector.recording.broker.accounts import wanted as accounts
from fabgate.errors import UsageError


def find(name: str) -> Gate:
    """Return a gate. Raises UsageError for an unknown name."""
    gate = Gate.objects.filter(name=name).first()
    if gate is None:
        raise UsageError(f"found no gate {name!r}; `{called.command('gates')}` lists all")
    return gate


def revoke(name: str, *, actor: str) -> Gate:
    """End the token of a gate, and ask for the end of its account. What it sent stays; `enrol_gate` lets it in again.

    Raises UsageError for an unknown gate.
    """
    env: Environment = settings.ENVIRONMENT
    # One after the other with those that let it in: the log compares before and after.
    with data_folder.alone(env.data / data_folder.LETTING_IN), transaction.atomic():
        gate = find(name)
        with audit.change(actor, "gate.revoked", gate):
            gate.token_hash = ""
            gate.save(update_fields=["token_hash"])
        if env.broker_control and not accounts.is_taken(gate):
            accounts.take(gate)
    return gate

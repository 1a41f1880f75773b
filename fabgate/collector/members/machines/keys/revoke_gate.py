"""Cuts a gate off: its token, its account at the broker and its codes end in one step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.base import called, data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import BrokerAccount, Change, Gate, JoinAttempt, JoinCode
from fabgate.collector.members.machines.keys import clones
from fabgate.collector.recording.broker.accounts import wanted as accounts
from fabgate.errors import UsageError

_VERB: Final = "gate.revoked"


@dataclass(frozen=True, slots=True)
class CutOff:
    """That a gate was cut off, by whom and when; `confirmed_at` is when the broker confirmed it.

    `has_account`: whether its account is one of the collector's own broker. Of others only a person can know.
    """

    actor: str
    at: datetime
    has_account: bool
    confirmed_at: datetime | None


def find(name: str) -> Gate:
    """Return a gate. Raises UsageError for an unknown name."""
    gate = Gate.objects.filter(name=name).first()
    if gate is None:
        text = _("found no gate '%(gate)s'; `%(command)s` lists all")
        raise UsageError(text % {"gate": name, "command": called.command("gates")})
    return gate


def revoke(name: str, *, actor: str) -> Gate:
    """End the token of a gate, and ask for the end of its account. What it sent stays; `enrol_gate` lets it in again.

    A code with which it has not joined yet ends, too: it may have been made before a theft. Raises UsageError for an unknown gate.
    """
    env: Environment = settings.ENVIRONMENT
    # One after the other with those that let it in: the log compares before and after.
    with data_folder.alone(env.data / data_folder.LETTING_IN), transaction.atomic():
        gate = find(name)
        with audit.change(actor, _VERB, gate):
            if gate.token_hash:
                clones.keys_ended(gate, gate.token_hash, datetime.now(UTC))
            gate.token_hash = ""
            gate.save(update_fields=["token_hash"])
        if env.broker_control and not accounts.is_taken(gate):
            accounts.take(gate)
        JoinCode.objects.filter(gate=name).exclude(attempts__state=JoinAttempt.FINISHED).delete()
    return gate


def cut_off(gate: Gate) -> CutOff | None:
    """Return who cut a gate off, and whether the broker has confirmed it; None for one that was let in, or never was."""
    if gate.token_hash:
        return None
    change = Change.objects.filter(kind="gate", key=gate.name, verb=_VERB).order_by("-at").first()
    if change is None:
        return None
    account = BrokerAccount.objects.filter(gate=gate, digest="").first()
    confirmed = account.confirmed_at if account else None
    return CutOff(change.actor, change.at, has_account=account is not None, confirmed_at=confirmed)

"""How does a gate get an order? As a sealed command, which is written down first, with who gave it and why.

None can switch power on. A command is the fast path for a gate that is online now; it expires after a minute.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector import floor, roster
from fabgate.collector.environ import Environment
from fabgate.collector.models import Gate, Order, Pulse
from fabgate.collector.mqtt import Outgoing
from fabgate.errors import UsageError

#: What may be ordered by itself; lock and unlock are state, and belong to locks.py.
GIVEN: Final = ("stop", "extend", "identify", "fetch-roster", "clear-fault")
#: What became of an order that the broker did not take.
NOT_SENT: Final = "not-sent"
#: Of a gate that was not there: nothing was sent, and its roster says it once it is back.
WAITS: Final = "waits"


def give(
    gate: Gate,
    verb: str,
    actor: str,
    *,
    reason: str = "",
    seconds: int | None = None,
    timeout_s: float = roster.PATIENCE_S,
) -> Order:
    """Send one order, and return it; its outcome comes with the gate's reply. Raises UsageError."""
    if verb not in GIVEN:
        raise UsageError(
            _("found the order '%(found)s', wanted one of %(wanted)s") % {"found": verb, "wanted": ", ".join(GIVEN)}
        )
    if not gate.online or not gate.boot:
        raise UsageError(
            _("%(gate)s is offline: no order reaches it now; try again once it is back") % {"gate": gate.name}
        )
    if (verb == "extend") != (seconds is not None) or (seconds is not None and not 0 < seconds <= wire.MAX_SECONDS):
        raise UsageError(
            _("found %(found)s seconds for %(verb)s, wanted 1 to %(most)d, and for extend only")
            % {"found": seconds, "verb": verb, "most": wire.MAX_SECONDS}
        )
    order, message = write(gate, verb, actor, reason=reason, seconds=seconds)
    if not send([], [(order, message)], timeout_s=timeout_s):
        order.refresh_from_db()
    return order


def send(
    gates: Iterable[Gate], written: Sequence[tuple[Order, Outgoing]], *, timeout_s: float = roster.PATIENCE_S
) -> bool:
    """Publish orders, and tell `gates` that there is a roster to fetch; say whether the broker took it.

    What it did not take within `timeout_s` is marked as not sent.
    """
    if roster.announce(gates, [message for _order, message in written], timeout_s=timeout_s):
        return True
    now, ids = datetime.now(UTC), [order.pk for order, _message in written]
    with transaction.atomic():
        Order.objects.filter(pk__in=ids, answered_at=None).update(outcome=NOT_SENT, answered_at=now)
        floor.pulse({Pulse.ORDER: {order.gate.name for order, _message in written}}, now)
    return False


def waits(gates: Iterable[Gate], verb: str, actor: str, *, reason: str = "") -> None:
    """Write down what gates that are not there now will hear of by their rosters: nothing is sent."""
    now = datetime.now(UTC)
    with transaction.atomic():
        written = [
            Order(
                id=uuid.uuid4().hex,
                gate=gate,
                command=verb,
                actor=actor,
                reason=reason,
                at=now,
                until=now,
                outcome=WAITS,
                answered_at=now,
            )
            for gate in gates
        ]
        if written:
            Order.objects.bulk_create(written)
            floor.pulse({Pulse.ORDER: {order.gate.name for order in written}}, now)


def write(
    gate: Gate,
    verb: str,
    actor: str,
    *,
    reason: str = "",
    lock: wire.Lock | None = None,
    seconds: int | None = None,
) -> tuple[Order, Outgoing]:
    """Write an order down; return it and the sealed message that carries it, which the caller publishes."""
    env: Environment = settings.ENVIRONMENT
    topics = wire.GateTopics(env.site, gate.name)
    now = datetime.now(UTC)
    command = wire.Command(
        id=uuid.uuid4().hex,
        verb=verb,
        boot=gate.boot,
        actor=actor,
        issued=now,
        expires=now + timedelta(seconds=wire.COMMAND_LIFE_S),
        reason=reason or None,
        roster=None if lock is None else gate.roster_version,
        lock=lock,
        seconds=seconds,
    )
    body = wire.encode(command)
    seal = roster.gate_keys(env, gate.name).seal(wire.PURPOSE_COMMAND, topics.account, body)
    with transaction.atomic():
        order = Order.objects.create(
            id=command.id, gate=gate, command=verb, actor=actor, reason=reason, at=now, until=command.expires
        )
        floor.pulse({Pulse.ORDER: {gate.name}}, now)
    return order, Outgoing(topics.topic("command"), body, expiry_s=wire.COMMAND_LIFE_S, seal=seal)

"""Sends commands to gates as sealed messages, which are first stored with their author and reason.

No command can switch power on. Commands are for gates that are online, and expire after a minute.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Collector, Gate, Order, Pulse
from fabgate.collector.members.access import roster
from fabgate.collector.recording.broker import announcing
from fabgate.collector.recording.broker.once import Outgoing
from fabgate.errors import UsageError

#: Commands that can be sent on their own. A lock is state, so lock and unlock belong to members/machines/locks.py.
SENDABLE: Final = ("stop", "extend", "identify", "fetch-roster", "clear-fault")
#: The outcome if the broker did not accept the command.
NOT_SENT: Final = "not-sent"
#: The outcome for an offline gate: nothing was sent, and its roster has the change once it is back.
WAITING: Final = "waits"
#: The outcome if the gate did not execute the command (gate/reports/commands.py).
_REFUSED: Final = "refused"
#: A command that has twice the effect if it is sent twice.
_ADDS_UP: Final = "extend"
#: A second extension within this many seconds is a double click, or another person's.
REPEATED_WITHIN_S: Final = 10


class AlreadySent(UsageError):  # noqa: N818 (it names what happened)
    """The same command, `order`, was sent a moment ago, and a second one would add to it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        text = _("the session at %(gate)s was extended a moment ago; wait for the gate's answer, then try again")
        super().__init__(text % {"gate": order.gate.name})


def send(
    gate: Gate,
    verb: str,
    actor: str,
    *,
    reason: str = "",
    seconds: int | None = None,
    timeout_s: float = announcing.PATIENCE_S,
) -> Order:
    """Send one command, and return it; its outcome arrives with the gate's reply. Raises UsageError.

    Raises AlreadySent if the session was extended a moment ago, or an extension is still unanswered.
    """
    if verb not in SENDABLE:
        raise UsageError(
            _("found the command '%(found)s', wanted one of %(wanted)s")
            % {"found": verb, "wanted": ", ".join(SENDABLE)}
        )
    if not gate.online or not gate.boot:
        raise UsageError(
            _("%(gate)s is offline, so commands cannot reach it; try again once it is online") % {"gate": gate.name}
        )
    if (verb == "extend") != (seconds is not None) or (seconds is not None and not 0 < seconds <= wire.MAX_SECONDS):
        raise UsageError(
            _("found %(found)s seconds for %(verb)s, wanted 1 to %(most)d for extend, and none for other commands")
            % {"found": seconds, "verb": verb, "most": wire.MAX_SECONDS}
        )
    with transaction.atomic():
        if verb == _ADDS_UP and (before := _already_sent(gate, verb)) is not None:
            raise AlreadySent(before)
        order, message = store(gate, verb, actor, reason=reason, seconds=seconds)
    if not publish([], [(order, message)], timeout_s=timeout_s):
        order.refresh_from_db()
    return order


def _already_sent(gate: Gate, verb: str) -> Order | None:
    """Return the same command if one is still unanswered or was sent a moment ago, else None.

    Takes the pulse lock, so that simultaneous requests wait for each other. A lock on the gate's row would also have to
    be taken after the pulse lock (ground/db/pulse.py).
    """
    pulse.lock()
    now = datetime.now(UTC)
    under_way = Q(outcome="", until__gte=now)
    done = Q(at__gt=now - timedelta(seconds=REPEATED_WITHIN_S)) & ~Q(outcome__in=(NOT_SENT, _REFUSED))
    lately = now - timedelta(seconds=wire.COMMAND_LIFE_S)
    return Order.objects.filter(under_way | done, gate=gate, command=verb, at__gte=lately).order_by("-at").first()


def publish(
    gates: Iterable[Gate], stored: Sequence[tuple[Order, Outgoing]], *, timeout_s: float = announcing.PATIENCE_S
) -> bool:
    """Publish commands, and announce the rosters of `gates`; return whether the broker accepted both.

    Commands that the broker did not accept within `timeout_s` are marked as not sent.
    """
    if announcing.announce(gates, [message for _order, message in stored], timeout_s=timeout_s):
        return True
    now, ids = datetime.now(UTC), [order.pk for order, _message in stored]
    with transaction.atomic():
        Order.objects.filter(pk__in=ids, answered_at=None).update(outcome=NOT_SENT, answered_at=now)
        pulse.notify({Pulse.ORDER: {order.gate.name for order, _message in stored}}, now)
    return False


def store_waiting(gates: Iterable[Gate], verb: str, actor: str, *, reason: str = "") -> None:
    """Store commands for offline gates, which get the change with their rosters; nothing is sent."""
    now = datetime.now(UTC)
    with transaction.atomic():
        orders = [
            Order(
                id=uuid.uuid4().hex,
                gate=gate,
                command=verb,
                actor=actor,
                reason=reason,
                at=now,
                until=now,
                outcome=WAITING,
                answered_at=now,
            )
            for gate in gates
        ]
        if orders:
            Order.objects.bulk_create(orders)
            pulse.notify({Pulse.ORDER: {order.gate.name for order in orders}}, now)


def store(
    gate: Gate,
    verb: str,
    actor: str,
    *,
    reason: str = "",
    lock: wire.Lock | None = None,
    seconds: int | None = None,
) -> tuple[Order, Outgoing]:
    """Store a command; return it and its sealed message, which the caller publishes."""
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
        collector=None if lock is None else Collector.get(env.site).collector,
        lock=lock,
        seconds=seconds,
    )
    body = wire.encode(command)
    seal = roster.gate_keys(env, gate.name).seal(wire.PURPOSE_COMMAND, topics.account, body)
    with transaction.atomic():
        order = Order.objects.create(
            id=command.id, gate=gate, command=verb, actor=actor, reason=reason, at=now, until=command.expires
        )
        pulse.notify({Pulse.ORDER: {gate.name}}, now)
    return order, Outgoing(topics.topic("command"), body, expiry_s=wire.COMMAND_LIFE_S, seal=seal)

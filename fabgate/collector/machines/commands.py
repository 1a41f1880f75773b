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
from django.db.models import Q
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.base.environ import Environment
from fabgate.collector.broker.link import Outgoing
from fabgate.collector.db import pulse
from fabgate.collector.models import Collector, Gate, Order, Pulse
from fabgate.errors import UsageError

#: What may be ordered by itself; lock and unlock are state, and belong to machines/locks.py.
GIVEN: Final = ("stop", "extend", "identify", "fetch-roster", "clear-fault")
#: What became of an order that the broker did not take.
NOT_SENT: Final = "not-sent"
#: Of a gate that was not there: nothing was sent, and its roster says it once it is back.
WAITS: Final = "waits"
#: What became of an order that its gate did not follow (gate/reports.py).
_REFUSED: Final = "refused"
#: Each counts: two of them are twice the time.
_COUNTS: Final = "extend"
#: Whoever asks for more time again so soon has clicked twice, or has not seen that somebody else was quicker.
SAME_S: Final = 10


class Asked(UsageError):  # noqa: N818 (it names what happened)
    """The same was asked for a moment ago, by `order`: twice it would count twice."""

    def __init__(self, order: Order) -> None:
        self.order = order
        text = _("%(gate)s was told to go on for longer a moment ago; see what it answers, then ask again")
        super().__init__(text % {"gate": order.gate.name})


def give(
    gate: Gate,
    verb: str,
    actor: str,
    *,
    reason: str = "",
    seconds: int | None = None,
    timeout_s: float = roster.PATIENCE_S,
) -> Order:
    """Send one order, and return it; its outcome comes with the gate's reply. Raises UsageError.

    Raises Asked where it is to extend a session that was extended a moment ago, or where that is not answered yet.
    """
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
    with transaction.atomic():
        if verb == _COUNTS and (before := _asked(gate, verb)) is not None:
            raise Asked(before)
        order, message = write(gate, verb, actor, reason=reason, seconds=seconds)
    if not send([], [(order, message)], timeout_s=timeout_s):
        order.refresh_from_db()
    return order


def _asked(gate: Gate, verb: str) -> Order | None:
    """Return the order that says the same and is under way, or was a moment ago. Of two who ask at once one waits here.

    For the order of telling, not for the gate: the ingest takes that one after it.
    """
    pulse.lock()
    now = datetime.now(UTC)
    under_way = Q(outcome="", until__gte=now)
    done = Q(at__gt=now - timedelta(seconds=SAME_S)) & ~Q(outcome__in=(NOT_SENT, _REFUSED))
    lately = now - timedelta(seconds=wire.COMMAND_LIFE_S)
    return Order.objects.filter(under_way | done, gate=gate, command=verb, at__gte=lately).order_by("-at").first()


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
        pulse.notify({Pulse.ORDER: {order.gate.name for order, _message in written}}, now)
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
            pulse.notify({Pulse.ORDER: {order.gate.name for order in written}}, now)


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

"""Recent commands to gates: who sent them, and with what outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.floor.stations import moment
from fabgate.collector.ground.models import Order
from fabgate.collector.members.machines import commands
from fabgate.collector.members.people import display_names

#: Commands that change a lasting state, which the roster carries too.
_STATE: Final = frozenset({"lock", "unlock"})
_UNANSWERED: Final = frozenset({"", commands.NOT_SENT, commands.WAITING})
RECENT: Final = timedelta(minutes=30)
MAX_SHOWN: Final = 6
VERBS: Final[Mapping[str, Any]] = {
    "lock": gettext_lazy("Lock"),
    "unlock": gettext_lazy("Unlock"),
    "stop": gettext_lazy("Stop"),
    "extend": gettext_lazy("Give more time"),
    "identify": gettext_lazy("Blink"),
    "fetch-roster": gettext_lazy("Fetch the roster"),
    "clear-fault": gettext_lazy("Clear the reader's fault"),
}


@dataclass(frozen=True, slots=True)
class SentCommand:
    """A command for display: `state` and `word` describe its outcome, `detail` is what the gate added."""

    order: Order
    what: str
    where: str
    actor: str
    state: str
    word: str
    detail: str


def recent(at: datetime) -> list[SentCommand]:
    """Return the newest commands of the last half hour."""
    return described(Order.objects.filter(at__gt=at - RECENT), MAX_SHOWN, at)


def described(orders: QuerySet[Order], most: int, at: datetime) -> list[SentCommand]:
    """Return the `most` newest of `orders`, ready for display."""
    rows = list(orders.select_related("gate__machine").order_by("-at", "-pk")[:most])
    named = display_names.account_names(row.actor for row in rows)
    return [_described(row, named, at) for row in rows]


def _described(order: Order, named: Mapping[str, str], at: datetime) -> SentCommand:
    state, word = outcome(order, at)
    return SentCommand(
        order=order,
        what=str(VERBS.get(order.command, order.command)),
        where=str(order.gate.machine or order.gate),
        actor=named.get(order.actor, ""),
        state=state,
        word=word,
        detail=order.detail,
    )


def outcome(order: Order, at: datetime) -> tuple[str, str]:
    """Return the outcome of a command: a state (for its colour) and a word.

    Locks are in the gate's roster too: if the command was not answered, the roster confirms it later.
    """
    gate, is_answered = order.gate, order.outcome not in _UNANSWERED
    if not is_answered and order.command in _STATE and gate.knows_roster:
        return "ok", _("Applied on the gate")
    if not is_answered and order.command in _STATE and not gate.is_online(at):
        if gate.seen_at is None:
            return "warn", _("Its gate has never been online")
        return "warn", _("Its gate has been offline since %(at)s; it will be updated when it is back") % {
            "at": moment(gate.seen_at)
        }
    match order.outcome:
        case "done":
            return "ok", _("Done")
        case "refused":
            return "bad", _("Refused")
        case commands.NOT_SENT:
            return "warn", _("Not sent: message broker offline")
        case commands.WAITING:
            return "starting", _("Its gate is back; sending now")
        case "":
            return ("starting", _("Sent")) if at <= order.until else ("warn", _("No answer within a minute"))
    return "warn", order.outcome

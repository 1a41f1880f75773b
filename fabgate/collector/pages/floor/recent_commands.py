"""Which orders were given to gates, by whom, and what became of each?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.machines import commands
from fabgate.collector.models import Order
from fabgate.collector.pages.floor.stations import moment
from fabgate.collector.people import display_names

#: What is state and not only an order.
_STATE: Final = frozenset({"lock", "unlock"})
_UNANSWERED: Final = frozenset({"", commands.NOT_SENT, commands.WAITS})
LATELY: Final = timedelta(minutes=30)
MOST: Final = 6
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
class Given:
    """An order in words: `state` and `word` say what became of it, `detail` is what the gate added."""

    order: Order
    what: str
    where: str
    actor: str
    state: str
    word: str
    detail: str


def lately(at: datetime) -> list[Given]:
    """Return the newest orders of the last half hour."""
    return said(Order.objects.filter(at__gt=at - LATELY), MOST, at)


def said(orders: QuerySet[Order], most: int, at: datetime) -> list[Given]:
    """Return the newest of `orders` in words."""
    rows = list(orders.select_related("gate__machine").order_by("-at", "-pk")[:most])
    named = display_names.signing_in(row.actor for row in rows)
    return [_given(row, named, at) for row in rows]


def _given(order: Order, named: Mapping[str, str], at: datetime) -> Given:
    state, word = outcome(order, at)
    return Given(
        order=order,
        what=str(VERBS.get(order.command, order.command)),
        where=str(order.gate.machine or order.gate),
        actor=named.get(order.actor, ""),
        state=state,
        word=word,
        detail=order.detail,
    )


def outcome(order: Order, at: datetime) -> tuple[str, str]:
    """Return what became of an order: a state for its colour, and a word.

    A lock that is set or taken off is in its gate's roster too: what the order did not say, the roster says later.
    """
    gate, is_answered = order.gate, order.outcome not in _UNANSWERED
    if not is_answered and order.command in _STATE and gate.knows_roster:
        return "ok", _("Its gate knows it by its roster")
    if not is_answered and order.command in _STATE and not gate.is_heard(at):
        if gate.seen_at is None:
            return "warn", _("Its gate was not heard yet")
        return "warn", _("Its gate is silent since %(at)s, and hears of it when it is back") % {
            "at": moment(gate.seen_at)
        }
    match order.outcome:
        case "done":
            return "ok", _("Done")
        case "refused":
            return "bad", _("Refused")
        case commands.NOT_SENT:
            return "warn", _("Not sent: the broker is away")
        case commands.WAITS:
            return "starting", _("Its gate is back, and is being told")
        case "":
            return ("starting", _("Sent")) if at <= order.until else ("warn", _("No answer within a minute"))
    return "warn", order.outcome

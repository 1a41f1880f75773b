"""Tells gates that they have a roster to fetch, with the commands that belong to the same change."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from django.conf import settings

from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.models import Gate
from fabgate.collector.recording.broker.once import Outgoing, publish_once
from fabgate.collector.recording.broker.publication import nudge
from fabgate.errors import FabgateError

log = logging.getLogger(__name__)

#: How long a verb waits for the broker, and how long a page does, in seconds.
PATIENCE_S: Final = 5.0
PAGE_S: Final = 2.0


def announce(gates: Iterable[Gate], more: Iterable[Outgoing] = (), *, timeout_s: float = PATIENCE_S) -> bool:
    """Notify gates that they have a roster to fetch; return whether the broker accepted it.

    Gates also ask regularly.
    """
    env: Environment = settings.ENVIRONMENT
    nudges = [nudge(env.site, gate) for gate in gates]
    try:
        messages = [*more, *(Outgoing(p.topic, p.body, retain=True) for p in nudges)]
        publish_once(env, messages, timeout_s=timeout_s)
    except FabgateError as error:
        log.warning("the gates were not notified (%s); they get the roster when they next ask", error)
        return False
    return True


def announce_and_describe(gates: Sequence[Gate]) -> str:
    """Announce the rosters, and return the result in words, such as ``laser-1, saw-1 notified``."""
    return describe(gates, is_announced=announce(gates) if gates else False)


def describe(gates: Sequence[Gate], *, is_announced: bool) -> str:
    """Return in words whether `gates` were notified."""
    if not gates:
        return "no gate yet"
    names = ", ".join(gate.name for gate in gates)
    whose = "its" if len(gates) == 1 else "their"
    return f"{names} {'notified' if is_announced else f'will be updated at {whose} next roster request'}"

"""A broker for the pages of the floor that keeps what is published."""

from __future__ import annotations

from typing import Any

from django.contrib.messages import get_messages

from fabgate import wire
from fabgate.collector.broker import link as mqtt
from fabgate.errors import FabgateError

LOCK = "/floor/machines/saw/lock"
UNLOCK = "/floor/machines/saw/unlock"
BROKEN = {"why": "0", "when": "idle", "back": ""}


class Broker:
    """Takes what is published, unless it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.taken: list[mqtt.Outgoing] = []
        self.patience_s: list[float] = []

    def publish_once(self, _env: Any, messages: list[mqtt.Outgoing], *, timeout_s: float) -> None:
        self.patience_s.append(timeout_s)
        if self.is_away:
            raise FabgateError("the broker cannot be reached")
        self.taken += messages

    def commands(self) -> list[wire.Command]:
        return [wire.decode(one.body, wire.Command) for one in self.taken if one.topic.endswith("/command")]


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))

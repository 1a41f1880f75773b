"""A broker for the pages, which keeps what is published."""

from __future__ import annotations

from typing import Any

from fabgate import wire
from fabgate.collector.recording.broker import once
from fabgate.errors import FabgateError


class Broker:
    """Takes what is published, unless it is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.taken: list[once.Outgoing] = []
        self.patience_s: list[float] = []

    def publish_once(self, _env: Any, messages: list[once.Outgoing], *, timeout_s: float) -> None:
        self.patience_s.append(timeout_s)
        if self.is_away:
            raise FabgateError("the broker cannot be reached")
        self.taken += messages

    @property
    def told(self) -> list[str]:
        """The gates to which something was sent."""
        return [one.topic.split("/")[3] for one in self.taken]

    def commands(self) -> list[wire.Command]:
        return [wire.decode(one.body, wire.Command) for one in self.taken if one.topic.endswith("/command")]

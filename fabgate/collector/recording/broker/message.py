"""A message as the broker delivers it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Received(Struct, frozen=True, gc=False):
    """A message from MQTT. `journal` and `seq` are its user properties.

    `at` is when a gate's status was sent; None if it may have waited in the broker, or for other messages.
    """

    topic: str
    body: bytes
    journal: str | None = None
    seq: str | None = None
    at: datetime | None = None

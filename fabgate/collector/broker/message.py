"""What does the broker hand over? One message, with what its MQTT properties say."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Received(Struct, frozen=True, gc=False):
    """A message as MQTT brought it. `journal` and `seq` are its user properties.

    `at` is when a gate's status was said; None where it may have waited in the broker, or nobody asks.
    """

    topic: str
    body: bytes
    journal: str | None = None
    seq: str | None = None
    at: datetime | None = None

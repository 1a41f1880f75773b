"""What the thread of a meter reports. It is a file of its own because a gate without a meter does not import the thread."""

from __future__ import annotations

import msgspec


class MeterFault(msgspec.Struct, frozen=True):
    """The meter `name` cannot be read."""

    name: str
    detail: str


class MeterRecovered(msgspec.Struct, frozen=True):
    """The meter `name` measures again."""

    name: str

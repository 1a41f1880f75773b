"""The messages between workshop.py and furnish.py: what to furnish the demo's collector with, and the result."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec


class Place(msgspec.Struct, frozen=True):
    """A machine of the workshop, what people call it, how it behaves, and the gate next to it.

    `before`: how it behaved until today, for a demo with a past.
    """

    gate: str
    machine: str
    title: str
    rules: dict[str, Any] = {}
    before: dict[str, Any] = {}


class Wanted(msgspec.Struct, frozen=True):
    """What the collector is furnished with: `members` is the file that is imported, `folder` that of the demo.

    `lang` is the language of the demo's account; empty: as the browser asks. `today` is the day after the past; None: no
    past.
    """

    places: tuple[Place, ...]
    members: str
    lang: str
    folder: str
    today: date | None = None


class Made(msgspec.Struct, frozen=True):
    """What a gate needs: the files of its secrets. `head` is the last number that its journal has from the past."""

    token_file: str
    gate_key_file: str
    badge_key_file: str
    head: int = 0

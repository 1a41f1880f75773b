"""The messages between processes/workshop.py and collector.py: what the demo's collector is filled with, and the result."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec


class Workplace(msgspec.Struct, frozen=True):
    """A machine of the workshop, its title, its rules, and the gate next to it.

    `before` are its rules until today, for a demo with a history. `panels` are the drivers of its panels beside the log.
    `on_plug` is whether its machine is on a plug of the network instead of a relay.
    """

    gate: str
    machine: str
    title: str
    rules: dict[str, Any] = {}
    before: dict[str, Any] = {}
    panels: tuple[str, ...] = ()
    #: What a second reader, for 125 kHz badges, sends: "rdm6300", or "number10" if it shortens; "" without one.
    fobs: str = ""
    on_plug: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """What the collector is filled with: `members` is the file to import, `folder` the demo's folder.

    `lang` is the language of the demo's account, or "" for that of the browser. `today` is the day after the history,
    or None if there is none.
    """

    places: tuple[Workplace, ...]
    members: str
    lang: str
    folder: str
    today: date | None = None


class Made(msgspec.Struct, frozen=True):
    """The files with a gate's secrets. `head` is the last number of its journal in the history."""

    token_file: str
    gate_key_file: str
    badge_key_file: str
    head: int = 0

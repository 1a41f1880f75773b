"""What is drawn from what, and is it up to date? The hashes are in hardware/made.json.

A group's hash is that of what is handed to the program that draws it, where that is text; so a change of our code that changes
no drawing makes none stale.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tools.hardware import builds, harness, labels
from tools.hardware.board import schematic
from tools.hardware.builds import HARDWARE

_HERE: Final = Path(__file__).parent
_TABLE: Final = HARDWARE / "made.json"


def _wiring() -> Any:
    return [harness.harness(build, sheet) for build in map(builds.read, builds.NAMES) for sheet in build.sheets()]


def _labels() -> Any:
    every = [builds.read(name) for name in builds.NAMES]
    texts = [(build.title, labels.devices(build), labels.ends(build), labels.stickers(build)) for build in every]
    return [texts, _program("labels.py")]


def _schematic() -> Any:
    return schematic.files()


def _enclosure() -> Any:
    return _program("enclosure.py")


def _program(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


#: What `make hardware` draws, and what each is drawn from.
SOURCES: Final[dict[str, Callable[[], Any]]] = {
    "wiring": _wiring,
    "labels": _labels,
    "schematic": _schematic,
    "enclosure": _enclosure,
}


def hash_of(group: str) -> str:
    """Return the hash of a group's sources as they are now."""
    return sha256(json.dumps(SOURCES[group](), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def stale() -> list[str]:
    """Return the groups whose sources have changed since they were drawn."""
    table = json.loads(_TABLE.read_text("utf-8")) if _TABLE.exists() else {}
    return [group for group in SOURCES if table.get(group) != hash_of(group)]


def note(group: str) -> None:
    """Say that a group has been drawn from its sources as they are now."""
    table = json.loads(_TABLE.read_text("utf-8")) if _TABLE.exists() else {}
    table[group] = hash_of(group)
    _TABLE.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", "utf-8")

"""What is drawn from which sources, and is it up to date? The hashes are in hardware/made.json."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Final

from tools.hardware.builds import HARDWARE, NAMES

_HERE: Final = Path(__file__).parent
_TABLE: Final = HARDWARE / "made.json"
_BUILDS: Final = ("pins.yaml", "builds/board.yaml", *(f"builds/{name}.yaml" for name in NAMES))
#: What `make hardware` draws, and the files that it is drawn from: of hardware/, then of this folder.
SOURCES: Final = {
    "wiring": (_BUILDS, ("builds.py", "harness.py")),
    "labels": ((*_BUILDS, "safety.md"), ("builds.py", "labels.py")),
    "schematic": (
        ("pins.yaml", "builds/board.yaml", "builds/standard.yaml"),
        ("builds.py", "board/kicad.py", "board/schematic.py", "board/symbols.py"),
    ),
    "enclosure": ((), ("enclosure.py",)),
}


def hash_of(group: str) -> str:
    """Return the hash of a group's sources as they are now."""
    found = sha256()
    texts, programs = SOURCES[group]
    for path in (*(HARDWARE / name for name in texts), *(_HERE / name for name in programs)):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def stale() -> list[str]:
    """Return the groups whose sources have changed since they were drawn."""
    table = json.loads(_TABLE.read_text("utf-8")) if _TABLE.exists() else {}
    return [group for group in SOURCES if table.get(group) != hash_of(group)]


def note(group: str) -> None:
    """Say that a group has been drawn from its sources as they are now."""
    table = json.loads(_TABLE.read_text("utf-8")) if _TABLE.exists() else {}
    table[group] = hash_of(group)
    _TABLE.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", "utf-8")

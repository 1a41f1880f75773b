"""The packages that this collector serves to its gates, on port 80 (docs/decisions/0153)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fabgate.collector.ground.base.env_values import bracketed

#: Where they are below /apt (tools/packages/apt.py): those of Debian and Raspberry Pi OS 13.
_POOL: Final = "pool/trixie"
#: The program, and the library of its reader.
_NAMES: Final = ("fabgate-gate", "fabgate-mfrc522")
#: What the name of a package is made of (Debian policy, 5.6.1 and 5.6.12): nothing that a shell or an address would read otherwise.
_SAFE: Final = re.compile(r"[A-Za-z0-9.+~_-]+")


def packages(apt: Path) -> list[Path]:
    """Return the newest package of each name in the folder `apt`; none unless there are all."""
    found = []
    for name in _NAMES:
        paths = [path for path in (apt / _POOL).glob(f"{name}_*_all.deb") if _SAFE.fullmatch(path.name)]
        if not paths:
            return []
        found.append(max(paths, key=lambda path: path.stat().st_mtime_ns))
    return found


def source(address: str) -> str:
    """Return the address of the repository, as apt needs it, of the collector at `address`."""
    return f"http://{bracketed(urlsplit(address).hostname or '')}/apt"

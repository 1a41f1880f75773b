"""The line to paste on a new Raspberry Pi: it fetches the package of the gate, compares it, installs it, and joins.

Nothing is run before it was compared with the digest in the line, which came over TLS.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fabgate.collector.ground.base.env_values import bracketed

#: Where the packages of the gate are below /apt (tools/packages/apt.py): those of Debian and Raspberry Pi OS 13.
_POOL: Final = "pool/trixie"
#: What the name of a package is made of (Debian policy, 5.6.1 and 5.6.12): nothing that a shell or an address would read otherwise.
_SAFE: Final = re.compile(r"[A-Za-z0-9.+~_-]+")


def line(apt: Path, address: str) -> str:
    """Return the line for the collector at `address`. Without a package in the folder `apt` it only joins."""
    join = f"sudo fabgate join {host_of(address)}"
    found = [path for path in (apt / _POOL).glob("fabgate-gate_*_all.deb") if _SAFE.fullmatch(path.name)]
    if not found:
        return join
    found.sort(key=lambda path: path.stat().st_mtime_ns)
    name = found[-1].name
    digest = _digest(found[-1], found[-1].stat().st_mtime_ns)
    url = f"http://{bracketed(urlsplit(address).hostname or '')}/apt/{_POOL}/{name}"
    return f"curl -fsSO {url} && echo '{digest}  {name}' | sha256sum -c && sudo apt-get install -y ./{name} && {join}"


def host_of(address: str) -> str:
    """Return what a person types after ``fabgate join``."""
    return address.removeprefix("https://")


@lru_cache(maxsize=4)
def _digest(path: Path, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

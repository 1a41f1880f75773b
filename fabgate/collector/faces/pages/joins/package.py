"""The line to paste on a new Raspberry Pi: it fetches the packages of the gate, compares them, installs them, and joins.

Nothing is run before it was compared with the digests in the line, which came over TLS.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fabgate.collector.members.machines import for_gates


def line(apt: Path, address: str) -> str:
    """Return the line for the collector at `address`. Without packages in the folder `apt` it only joins."""
    join = f"sudo fabgate join {host_of(address)}"
    found = for_gates.packages(apt)
    if not found:
        return join
    source = for_gates.source(address)
    fetched = " ".join(f"-O {source}/{path.relative_to(apt)}" for path in found)
    digests = " ".join(f"'{_digest(path, path.stat().st_mtime_ns)}  {path.name}'" for path in found)
    names = " ".join(f"./{path.name}" for path in found)
    # In /tmp apt may read them as the user that it downloads as.
    steps = ("cd /tmp", f"curl -fsS {fetched}", f"printf '%s\\n' {digests} | sha256sum -c", "sudo apt-get update")
    return " && ".join((*steps, f"sudo apt-get install -y {names}", join))


def host_of(address: str) -> str:
    """Return what a person types after ``fabgate join``."""
    return address.removeprefix("https://")


@lru_cache(maxsize=8)
def _digest(path: Path, _changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

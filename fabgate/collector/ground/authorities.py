"""The authorities by which this collector and its broker are known, which rosters name (docs/decisions/0151)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fabgate.collector.ground.base.environ import Environment
from fabgate.mqtt import authorities

#: How much of the file is read, in bytes: a certificate has one or two thousand.
_MOST_BYTES: Final = 100_000
#: What begins the problem of a gate that does not report each of them; recording/intake/gate_reports.py notes it.
MISSING: Final = "authority-missing"


def named(env: Environment) -> list[bytes]:
    """Return the certificates (DER) that gates shall trust, the one that signs now first.

    Empty if broker and pages have no authority in common, or while the file cannot be read: gates then keep theirs.
    """
    return read(env.authority) if env.authority else []


def read(path: Path) -> list[bytes]:
    """Return the certificates in a file as DER; none while it cannot be read."""
    try:
        with path.open("rb") as file:
            return authorities.certificates(file.read(_MOST_BYTES).decode("latin-1"))
    except OSError:
        return []


def in_rosters(env: Environment) -> str:
    """Return what rosters say: the same certificates as PEM. Their order says nothing, so that it changes no roster."""
    return authorities.pem(sorted(named(env)))

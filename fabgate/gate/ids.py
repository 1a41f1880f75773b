"""How are facts and sessions named? With UUIDs of version 7: ordered by time, unique without asking anybody."""

from __future__ import annotations

import secrets
import time
from uuid import UUID


def uuid7(unix_ms: int | None = None) -> str:
    """Return a new UUIDv7 (RFC 9562, 5.7) for `unix_ms`, by default the wall clock's.

    A wrong wall clock makes ids sort badly and nothing else: 74 random bits keep them apart.
    """
    if unix_ms is None:
        unix_ms = time.time_ns() // 1_000_000
    value = (unix_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))

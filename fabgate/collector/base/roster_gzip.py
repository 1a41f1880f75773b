"""How is a roster stored? As gzip (RFC 1952): a fifth to write while others wait, and what most gates take."""

from __future__ import annotations

import gzip


def pack(body: bytes) -> bytes:
    """Return a roster as it is stored."""
    return gzip.compress(body, 5, mtime=0)


def unpack(stored: bytes) -> bytes:
    """Return the roster of what is stored; empty where nothing is."""
    return gzip.decompress(stored)

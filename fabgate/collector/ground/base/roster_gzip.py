"""Compresses stored rosters with gzip (RFC 1952). Most gates accept compressed ones, and less has to be written."""

from __future__ import annotations

import gzip


def pack(body: bytes) -> bytes:
    """Compress a roster for storing."""
    return gzip.compress(body, 5, mtime=0)


def unpack(stored: bytes) -> bytes:
    """Decompress a roster as it is stored; empty bytes stay empty."""
    return gzip.decompress(stored)

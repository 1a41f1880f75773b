"""How is a roster stored? As gzip (RFC 1952): a fifth to write while others wait, and what most gates take."""

from __future__ import annotations

import gzip
from typing import Final

#: How gzip begins, and JSON does not.
_GZIP: Final = b"\x1f\x8b"


def pack(body: bytes) -> bytes:
    """Return a roster as it is stored; what is packed already stays."""
    return body if body.startswith(_GZIP) else gzip.compress(body, 5, mtime=0)


def unpack(stored: bytes) -> bytes:
    """Return the roster of what is stored; an older collector stored it as it is."""
    return gzip.decompress(stored) if stored.startswith(_GZIP) else stored

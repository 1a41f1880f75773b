"""Writes a file that a person asked for."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

from fabgate.errors import UsageError


def save(path: Path, chunks: Iterable[bytes]) -> str:
    """Write a file whole or not at all; return its SHA-256 in hexadecimal digits. Raises UsageError."""
    found, part = hashlib.sha256(), path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                found.update(chunk)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise UsageError(f"{path}: {error.strerror}; name a file that can be written") from error
    return found.hexdigest()

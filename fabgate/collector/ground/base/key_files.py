"""Makes keys and secrets, and writes them so that only the collector can read them."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from fabgate.collector.ground.base import data_folder


def write_secret(path: Path, text: str) -> bool:
    """Write a new file with mode 0600, synced to disk. Returns False, and leaves it unchanged, if it exists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:  # such as a full disk: the empty file would later be used as the secret
        path.unlink(missing_ok=True)
        raise
    data_folder.sync_directory(path.parent)
    return True


def new_key(kid: str) -> str:
    """Return a line of a key file: a new 32-byte key with the id `kid`."""
    return f"{kid}:{base64.b64encode(secrets.token_bytes(32)).decode()}\n"

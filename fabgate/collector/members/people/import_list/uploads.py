"""Keeps an uploaded file from preview to import, for an hour, readable by the collector only."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.conf import settings

KEPT_S: Final = 3600
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


def keep(raw: bytes) -> str:
    """Keep a file and delete expired ones; return the token of the new one."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    forget_old()
    token = secrets.token_hex(16)
    handle = os.open(folder / token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
    except OSError:  # a full disk
        forget(token)
        raise
    return token


def kept(token: str) -> bytes | None:
    """Return a kept file; None if the token is invalid or expired."""
    if not _TOKEN.fullmatch(token):
        return None
    path = _folder() / token
    try:
        return None if time.time() - path.stat().st_mtime > KEPT_S else path.read_bytes()
    except FileNotFoundError:
        return None


def forget(token: str) -> None:
    """Delete a file after its import."""
    if _TOKEN.fullmatch(token):
        (_folder() / token).unlink(missing_ok=True)


def forget_old() -> int:
    """Delete expired files; return how many. The worker calls it each minute."""
    gone = 0
    try:
        for old in _folder().iterdir():
            with suppress(FileNotFoundError):  # another process has just deleted it
                if time.time() - old.stat().st_mtime > KEPT_S:
                    old.unlink()
                    gone += 1
    except FileNotFoundError:  # no list was ever uploaded
        return 0
    return gone


def _folder() -> Path:
    data: Path = settings.ENVIRONMENT.data
    return data / "uploads"

"""Who may touch the folder of database and keys (FABGATE_DATA) now, and what lies in it?

Every process that uses it holds `.running` together with the others; whoever replaces it wants it alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fabgate.errors import UsageError

#: Locks: processes that start wait for each other; those that run hold the next one.
STARTING: Final = ".starting"
RUNNING: Final = ".running"
#: Whoever makes a gate's secrets holds this until all of its files, and their row, are of one making.
LETTING_IN: Final = ".letting-in"
#: There for as long as a restore is not finished.
RESTORING: Final = ".restoring"
#: The mark of a restore, until the database is up to date and what must not be as it was then is not (processes/restored_database.py).
RESTORED: Final = ".restored"
#: How far a SQLite database had counted when it was last seen (processes/restored_database.py). In no copy: it tells them apart.
COUNTED: Final = ".counted"
GATES: Final = "gates"
#: What a collector is made of.
KEPT: Final = ("collector.db", "collector.db-wal", "collector.db-shm", "secret.key", "badge.keys", GATES)
_LOOK_EVERY_S: Final = 0.1


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for others in the same block."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def use(data: Path) -> int:
    """Say that this process uses `data`: until it ends, or closes the lock that is returned.

    Raises UsageError where a restore was cut off.
    """
    if (data / RESTORING).exists():
        raise UsageError(
            f"found a restore of {data} that was cut off; wanted a whole one: run `fabgate collector restore FILE"
            " --replace` again"
        )
    handle = os.open(data / RUNNING, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def is_left_alone(handle: int, within_s: float) -> bool:
    """Wait until nobody else uses the folder of which `handle` is our own lock, for `within_s` seconds at most.

    For whoever holds STARTING too: nobody can come meanwhile. The lock is shared again afterwards.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = False
        else:
            found = True
        if found or time.monotonic() >= until:
            fcntl.flock(handle, fcntl.LOCK_SH)
            return found
        time.sleep(_LOOK_EVERY_S)


def lock_out(data: Path) -> int | None:
    """Return the open lock that nobody else holds; None where somebody does."""
    handle = os.open(data / RUNNING, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def sync_file(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


sync_directory = sync_file


def identity(path: Path) -> tuple[int, int] | None:
    """Return which file has this name now; None where there is none, or nobody may know."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

"""Locks and file names of the folder with database and keys (FABGATE_DATA).

Every process that uses it holds a shared lock on `.running`; replacing it requires the exclusive one.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fabgate.collector.base import called
from fabgate.errors import UsageError

#: Lock files: a starting process holds the first alone; all running processes share the second.
STARTING: Final = ".starting"
RUNNING: Final = ".running"
#: Held while a gate's secrets are made, until its files and its row belong together.
LETTING_IN: Final = ".letting-in"
#: Exists as long as a restore is not finished.
RESTORING: Final = ".restoring"
#: The mark of a restore, until the database is up to date and old sign-ins have ended (processes/restored_database.py).
RESTORED: Final = ".restored"
#: The last counter of a SQLite database (processes/restored_database.py). Not part of copies: it detects them.
COUNTED: Final = ".counted"
#: The head of the audit log, to notice that its newest rows were deleted (verify/audit_head.py). Not part of copies: a
#: copy of the database has an older head.
AUDIT_HEAD: Final = ".audit-head"
GATES: Final = "gates"
#: The files of a collector.
KEPT: Final = ("collector.db", "collector.db-wal", "collector.db-shm", "secret.key", "badge.keys", GATES)
_LOOK_EVERY_S: Final = 0.1


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` inside the block."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def use(data: Path) -> int:
    """Mark `data` as in use by this process, until it ends or closes the returned lock.

    Raises UsageError if a restore was interrupted.
    """
    if (data / RESTORING).exists():
        again = called.command("restore FILE --replace")
        raise UsageError(f"a restore of {data} was interrupted; run `{again}` again")
    handle = os.open(data / RUNNING, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def is_left_alone(handle: int, within_s: float) -> bool:
    """Wait up to `within_s` seconds until `handle` is the only lock on the folder; return whether it is.

    The caller also holds STARTING, so that no process can start meanwhile. The lock is shared again afterwards.
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
    """Lock the folder exclusively and return the lock's handle; None if another process uses the folder."""
    handle = os.open(data / RUNNING, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def sync_file(path: Path) -> None:
    """Sync a file to disk, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


sync_directory = sync_file


def identity(path: Path) -> tuple[int, int] | None:
    """Return the device and inode of a file; None if there is none, or it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

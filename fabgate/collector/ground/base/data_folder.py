"""Locks, file names and owner of the folder with database and keys (FABGATE_DATA).

Every process that uses it holds a shared lock on `.running`; replacing it requires the exclusive one.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from fabgate.collector.ground.base import called
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
#: The head of the audit log, to notice that its newest rows were deleted (processes/verify/audit_head.py). Not part of
#: copies: a copy of the database has an older head.
AUDIT_HEAD: Final = ".audit-head"
#: When the last copy was made. Not part of copies.
COPIED: Final = ".copied"
#: The version of fabgate that used the collector last. Not part of copies.
USED_BY: Final = ".used-by"
#: The name of the copy from before an update, until the update is complete (processes/rollback/copying.py). Not part of
#: copies.
UPDATING: Final = ".updating"
#: Which sinks there are. In copies; a restore replaces it only if the copy has one.
SINKS: Final = "sinks.yaml"
GATES: Final = "gates"
#: The password of the collector's account at its own broker, and in the folder of each gate that of the gate's account.
PASSWORD: Final = "mqtt.password"  # noqa: S105 (a file's name)
#: The keys that seal what the collector sends to a gate, in the folder of that gate.
SEAL_KEYS: Final = "seal.keys"
#: The files in the folder of a gate that somebody copies to it; of a gate that joined, only the seal keys are there.
GATE_FILES: Final = ("token", SEAL_KEYS, "badge.keys")
#: The files of a collector.
KEPT: Final = ("collector.db", "collector.db-wal", "collector.db-shm", "secret.key", "badge.keys", GATES)
#: The end of the name of each copy.
COPY_SUFFIX: Final = ".tar.gz"
#: A nightly copy that is older is late.
COPY_LATE: Final = timedelta(days=2)
_LOOK_EVERY_S: Final = 0.1


def become_owner(data: Path) -> None:
    """As root, become the account that owns `data`, for good, so that no file of the collector ever belongs to root.

    A key that root made would be missing in every copy: the account that makes them cannot read it. Raises UsageError
    where root cannot become that account.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = data.stat()
    except OSError:
        return  # a new collector, which belongs to the account that makes it
    if owner.st_uid == 0:
        return
    try:
        found = pwd.getpwuid(owner.st_uid)
        os.initgroups(found.pw_name, found.pw_gid)
        os.setgid(found.pw_gid)
        os.setuid(found.pw_uid)
    except (KeyError, OSError) as error:
        raise UsageError(
            f"found the account root, wanted the account {owner.st_uid}, which owns {data}: root would make files that the"
            f" collector cannot read, and it cannot become that account here ({error}); run this as that account"
        ) from error


def note_copied(data: Path) -> None:
    """Note that a whole copy was made now, for /healthz and /metrics. Raises OSError."""
    fresh = data / f"{COPIED}.{os.getpid()}"
    fresh.write_text(f"{datetime.now(UTC).isoformat()}\n", encoding="utf-8")
    fresh.replace(data / COPIED)


def last_copied(data: Path) -> datetime | None:
    """Return when; None if there was none yet, or that is not known: copies of PostgreSQL are not ours."""
    try:
        return datetime.fromisoformat((data / COPIED).read_text("utf-8").strip()).astimezone(UTC)
    except (OSError, ValueError):
        return None


def note_used(data: Path, version: str) -> None:
    """Note that this version of fabgate has brought the collector up to date, and uses it. Raises OSError."""
    (data / UPDATING).unlink(missing_ok=True)
    if used_by(data) != version:
        _replace(data / USED_BY, version)


def used_by(data: Path) -> str:
    """Return the version of fabgate that used the collector last, or "" if that is not known."""
    return _line(data / USED_BY)


def note_updating(data: Path, copy: str) -> None:
    """Note that an update begins, and the name of the copy from before it. Raises OSError."""
    _replace(data / UPDATING, copy)
    sync_directory(data)


def updating(data: Path) -> str:
    """Return the name of the copy from before the update that is not complete; "" if there is no such update."""
    return _line(data / UPDATING)


def _replace(path: Path, line: str) -> None:
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(f"{line}\n", encoding="utf-8")
    sync_file(fresh)
    fresh.replace(path)


def _line(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


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


def copy_name(site: str, at: datetime) -> str:
    """Return the name of a copy of the site's collector, made at a time in UTC (processes/backup.py)."""
    return f"{_prefix(site)}{at:%Y%m%d-%H%M%S}{COPY_SUFFIX}"


def copies(site: str, folder: Path) -> list[Path]:
    """Return the copies in a folder that got their names by themselves, the oldest first. Raises OSError."""
    named = re.compile(re.escape(_prefix(site)) + r"\d{8}-\d{6}" + re.escape(COPY_SUFFIX))
    return sorted(path for path in folder.iterdir() if named.fullmatch(path.name))


def _prefix(site: str) -> str:
    return f"fabgate-{site}-"


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

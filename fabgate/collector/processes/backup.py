"""Makes copies of the collector, and restores them. A copy is one file with all of FABGATE_DATA.

A copy is a compressed tar file: the database as it was at one moment, the keys, the gates' tokens, and a list of all
files with their SHA-256. Making one does not disturb running processes. A restored collector acknowledges less than its
gates have sent, so they send the rest again, and every roster is rebuilt at its start. Changes that people made after
the copy are lost.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

import fabgate
from fabgate.collector.ground import migrations
from fabgate.collector.ground.base import data_folder, disk_full, environ
from fabgate.collector.ground.db import migration
from fabgate.collector.members.machines import gate_keys
from fabgate.collector.processes import ends
from fabgate.errors import FabgateError, UsageError

CONTENTS: Final = "list.json"
_DATABASE: Final = "collector.db"


@dataclass(frozen=True, slots=True)
class Copy:
    """A finished copy: its file, with size and SHA-256."""

    path: Path
    size_bytes: int
    sha256: str


def backup(env: environ.Environment, target: Path) -> Copy:
    """Copy the collector to a new file; in a folder the file is named after the site and the time.

    Raises UsageError if the file cannot be made, and FabgateError if the database is damaged.
    """
    target = target.absolute()
    if target.is_dir():
        target = _free_name(env, target)
    if target.exists():
        raise UsageError(f"found {target}, wanted a new file, since a copy never replaces one; choose another name")
    if not target.name.endswith(data_folder.COPY_SUFFIX):
        raise UsageError(
            f"{target} is not a folder, and its name does not end in {data_folder.COPY_SUFFIX}; make the folder first"
            f" (mkdir -p {target}), or choose a name such as {target.name}{data_folder.COPY_SUFFIX}"
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"{target.parent}: the folder for the copy does not exist; make it first: mkdir -p {target.parent}"
        )
    if not env.database.is_file():
        raise UsageError(
            f"found no collector database at {env.database}; set FABGATE_DATA to the collector's directory"
        )
    write(env, target)
    with contextlib.suppress(OSError):  # without the note /healthz calls the copies late
        data_folder.note_copied(env.data)
    return Copy(target, target.stat().st_size, _sha256(target))


def _free_name(env: environ.Environment, folder: Path) -> Path:
    """Return the name of a copy made now. In a second that has one already, it is that of the next second that has none."""
    at = datetime.now(UTC)
    while (name := folder / data_folder.copy_name(env.site, at)).exists():
        at += timedelta(seconds=1)
    return name


def write(env: environ.Environment, target: Path, *, temporary: str = ".fabgate-copy-") -> None:
    """Copy the collector to a new file, by way of a folder beside it whose name begins with `temporary`.

    Raises UsageError if the file cannot be made, and FabgateError if the database is damaged.
    """
    lock = data_folder.use(env.data)
    try:
        _refuse_without_keys(env)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=temporary) as name:
            made = _make(env, Path(name))
            _publish(made, target)
            data_folder.sync_directory(target.parent)
    except OSError as error:
        refuse_full(error, target.parent)
        raise UsageError(f"{target} cannot be written ({error.strerror or error})") from error
    finally:
        os.close(lock)


def _refuse_without_keys(env: environ.Environment) -> None:
    try:
        missing = gate_keys.unreadable(env.database, env.data)
    except sqlite3.Error:
        return  # a damaged database is named when it is copied
    if missing:
        raise FabgateError(
            f"a copy would lack keys of gates, which cannot be read: {', '.join(missing)}; {gate_keys.next_step(env.data)}"
        )


def delete_old(env: environ.Environment, folder: Path, *, keep: int) -> Iterator[Path]:
    """Delete all but the newest `keep` copies of the site in a folder; yield each that is deleted."""
    # The names give the order of copies. The folder may also contain copies of other sites, such as lyon-2.
    for old in data_folder.copies(env.site, folder)[:-keep]:
        old.unlink()
        yield old


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore: the time of the copy, and the folder with the files that it replaced, or None."""

    at: datetime
    aside: Path | None


def restore(env: environ.Environment, source: Path, *, replace: bool) -> Restored:
    """Restore the collector from a copy; with `replace` an existing one is moved aside. Raises UsageError."""
    source = source.absolute()
    try:
        is_there = source.exists()  # before the folder is made
    except OSError as error:
        raise UsageError(
            f"{source} cannot be read by the account of the collector ({error.strerror}); put the copy where it can"
        ) from error
    if not is_there:
        raise UsageError(f"there is no copy at {source}")
    env.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(env):
        existing = [name for name in data_folder.KEPT if (env.data / name).exists()]
        if existing and not replace:
            raise UsageError(
                f"found a collector in {env.data} already ({', '.join(existing)}), wanted an empty folder; --replace moves"
                " it aside"
            )
        unfinished = env.data / data_folder.RESTORING
        # If the database is not in its place, the folder stays even after an error: a start that finds the folder makes
        # no new, empty collector.
        is_half = unfinished.exists() and not env.database.exists()
        _empty(unfinished)
        try:
            unpacked = _unpack(source, unfinished, env)
        except BaseException:
            _empty(unfinished)
            if not is_half:
                unfinished.rmdir()
            raise
        (env.data / data_folder.UPDATING).unlink(missing_ok=True)  # the next update is of another database
        aside = _move_in(env.data, unfinished)
    return Restored(unpacked.at, aside)


def _empty(folder: Path) -> None:
    """Make the folder if it is missing, and delete what is in it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _publish(made: Path, target: Path) -> None:
    """Give the finished file its name. Raises FileExistsError if the name was taken meanwhile."""
    # a rename alone would replace an existing file
    try:
        target.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network file systems have no hard links
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))
        try:
            made.replace(target)  # replaces our own empty file
        except OSError:
            target.unlink()
            raise


def refuse_full(error: OSError, folder: Path) -> None:
    """Raise UsageError if `error` means that the disk of `folder` is full."""
    if disk_full.is_full(error):
        raise UsageError(
            f"the disk of {folder} is full; a copy needs room for database and keys twice while it is made: make"
            " room, or choose another disk"
        ) from error


def _make(env: environ.Environment, folder: Path) -> Path:
    """Return the finished file in `folder`, synced to disk."""
    _copy_database(env.database, folder / _DATABASE)
    # The keys are copied after the database: a key that is newer than the database does no harm.
    files = {_DATABASE: folder / _DATABASE, **_keys(env.data)}
    if env.sinks.is_file():
        files[data_folder.SINKS] = env.sinks
    steps, last = _steps(folder / _DATABASE)
    listed = {
        "fabgate": fabgate.__version__,
        "site": env.site,
        "at": datetime.now(UTC).isoformat(),
        "steps": sorted(steps),
        "ends": last,
        "files": {name: _sha256(path) for name, path in files.items()},
    }
    (folder / CONTENTS).write_text(json.dumps(listed, indent=1), encoding="utf-8")
    made = folder / "copy"
    with open(made, "xb", opener=_private) as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=5) as archive:
            for name, path in {CONTENTS: folder / CONTENTS, **files}.items():
                archive.add(path, name, recursive=False, filter=_anonymous)
        file.flush()
        os.fsync(file.fileno())
    return made


def _copy_database(source: Path, target: Path) -> None:
    """Copy what is committed now, while other processes write. Raises OSError if there is no room."""
    target.touch(0o600)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=20)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # so that the copy is a single file
            found = new.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if disk_full.is_full(error):  # the disk of the copy, because the source is only read
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        found = str(error)
    if found != "ok":
        raise FabgateError(f"{source} is damaged ({found}); restore an older copy")


def _steps(database: Path) -> tuple[set[str], ends.Ends]:
    """Return the migrations of all apps that a database has, and its ends. Raises FabgateError if it lists no migrations."""
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            return {f"{app}.{name}" for app, name in connection.execute(migration.APPLIED)}, ends.of(connection)
    except sqlite3.Error as error:
        raise FabgateError(f"{database.name} is no database of a collector ({error}); restore an older copy") from error


def _keys(data: Path) -> dict[str, Path]:
    """Return the files of FABGATE_DATA besides the database, by their names in a copy."""
    found = [data / name for name in data_folder.KEPT if (data / name).is_file() and not name.startswith(_DATABASE)]
    found += [
        path for path in sorted((data / data_folder.GATES).rglob("*")) if path.is_file() and not path.is_symlink()
    ]
    return {str(path.relative_to(data)): path for path in found}


class Contents(msgspec.Struct):
    """The list in a copy: the version that made the copy, the site, the time, and each file's SHA-256 by its name.

    `steps` are the migrations of the database, and `ends` its ends; copies of 0.1.0 do not name them.
    """

    fabgate: str
    site: str
    at: datetime
    files: dict[str, str]
    steps: list[str] = []
    ends: dict[str, int | str] = {}


def contents(source: Path) -> Contents:
    """Return the list in a copy, which is its first file. Raises UsageError for a file that is no copy."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            first = archive.next()
            file = archive.extractfile(first) if first is not None and first.name == CONTENTS else None
            return msgspec.json.decode(file.read() if file else b"", type=Contents)
    except _NOT_A_COPY as error:
        raise UsageError(
            f"{source} is not a complete copy of a collector ({error}); wanted a file made by 'backup'"
        ) from error


def _unpack(source: Path, folder: Path, env: environ.Environment) -> Contents:
    """Extract the files of a copy into `folder`, verify them, and return the list."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                _extract(archive, member, folder)
        listed = msgspec.json.decode((folder / CONTENTS).read_bytes(), type=Contents)
        (folder / CONTENTS).unlink()
        listed.at = listed.at.astimezone()
    except _NOT_A_COPY as error:
        if isinstance(error, OSError):
            refuse_full(error, env.data)
        raise UsageError(
            f"{source} is not a complete copy of a collector ({error}); wanted a file made by 'backup'"
        ) from error
    extracted = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    names = sorted({*extracted, *listed.files})
    wrong = [
        n for n in names if n not in extracted or n not in listed.files or _sha256(extracted[n]) != listed.files[n]
    ]
    if wrong or _DATABASE not in extracted:
        raise UsageError(
            f"{source} is damaged ({', '.join(wrong) or _DATABASE}: missing, added or changed since it was made); use"
            " another copy"
        )
    if listed.site != env.site:
        raise UsageError(
            f"FABGATE_SITE: found {env.site!r}, but {source} is a copy of {listed.site!r}; correct one of them"
        )
    _check_version(folder / _DATABASE, source, listed.fabgate)
    (folder / data_folder.RESTORED).touch()
    owner = folder.parent.stat()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
        data_folder.sync_file(path)
    return listed


#: The errors of a file that is not a copy: from the disk, gzip, tar, the list, and the date in it.
_NOT_A_COPY: Final = (
    *(OSError, EOFError, zlib.error, tarfile.TarError, ValueError, LookupError),
    *(msgspec.MsgspecError, RecursionError, OverflowError),
)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Extract one file of a copy; refuse anything that is not a file, or would be outside of `folder`."""
    parts = Path(member.name).parts
    file = archive.extractfile(member) if member.isreg() else None
    # only the files of gates are in folders
    is_ours = (len(parts) == 1 and parts[0] in _AT_TOP) or (len(parts) > 1 and parts[0] == data_folder.GATES)
    if file is None or ".." in parts or not is_ours:
        raise ValueError(f"{member.name!r} does not belong in a copy")
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file, open(target, "xb", opener=_private) as out:
        shutil.copyfileobj(file, out)


_AT_TOP: Final = {CONTENTS, data_folder.SINKS, *data_folder.KEPT} - {data_folder.GATES}


def _check_version(database: Path, source: Path, version: str) -> None:
    """Refuse a database of a newer version or from before 0.1.0, and a file that is not a collector's database."""
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("SELECT name FROM django_migrations WHERE app = 'collector'").fetchall()
    except sqlite3.Error as error:
        raise UsageError(
            f"{source}: its {_DATABASE} is not a collector's database ({error}), wanted a file made by 'backup'; use"
            " another one"
        ) from error
    steps = {str(name) for (name,) in rows}
    if migration.is_before_release(steps):
        raise UsageError(f"found {source}, a copy from before fabgate 0.1.0; {migration.KEEP_IT}")
    if newer := sorted(steps - set(migrations.KNOWN)):
        raise UsageError(
            f"{source} was made by fabgate {version}, which is newer than {fabgate.__version__} ({newer[-1]}); install"
            " that version first"
        )


def _make_aside(data: Path) -> Path:
    """Make the folder for the files that are moved aside, under an unused name."""
    named = f"before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    taken = len(list(data.glob(f"{named}*")))
    aside = data / (f"{named}-{taken + 1}" if taken else named)
    aside.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(aside, data.stat().st_uid, data.stat().st_gid)
    return aside


def _move_in(data: Path, restored: Path) -> Path | None:
    """Move what is in `data` aside and the restored files in; return the folder of the old ones."""
    names = [*data_folder.KEPT, *([data_folder.SINKS] if (restored / data_folder.SINKS).exists() else [])]
    old = [data / name for name in names if (data / name).exists()]
    aside = _make_aside(data) if old else None
    for path in old:
        assert aside is not None
        path.rename(aside / path.name)
    # the database last: where it is, all else is
    for path in sorted(restored.iterdir(), key=lambda path: path.name == _DATABASE):
        path.rename(data / path.name)
    data_folder.sync_directory(data)
    restored.rmdir()
    data_folder.sync_directory(data)
    return aside


@contextlib.contextmanager
def alone(env: environ.Environment) -> Iterator[int]:
    """Let no process of the collector run or start inside the block; give the handle of the lock. Raises UsageError."""
    with data_folder.alone(env.data / data_folder.STARTING):
        handle = data_folder.lock_out(env.data)
        if handle is None:
            raise UsageError(
                f"a collector is running on {env.data}; stop it first (systemctl stop fabgate-collector.target)"
            )
        try:
            yield handle
        finally:
            os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member

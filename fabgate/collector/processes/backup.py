"""How is the collector copied, and how does a copy become a collector again? One file holds all of FABGATE_DATA.

A copy is a tar file, compressed: the database as it was at one moment, the keys, the gates' tokens, and a list of all
of them with their SHA-256. Taking one disturbs nobody. A restored collector acknowledges less than its gates have sent,
so that they send the rest again, and every roster is built anew at its start. What people had changed since is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

import fabgate
from fabgate.collector.base import data_folder, disk_full, environ
from fabgate.collector.processes import migration
from fabgate.errors import FabgateError, UsageError

LIST: Final = "list.json"
_DATABASE: Final = "collector.db"
_SUFFIX: Final = ".tar.gz"
_MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"


def backup(args: argparse.Namespace) -> int:
    """Copy the collector into a new file; one of its own name in a folder, of which the newest are kept."""
    env = _environment()
    _only_sqlite(env, "pg_dump --format=custom --file=fabgate.dump URL", "copied")
    if args.keep is not None and (args.keep < 1 or not Path(args.file).is_dir()):
        raise UsageError(
            f"--keep: found {args.keep} and {args.file}, wanted a number from 1 on, and a folder of copies"
        )
    target = Path(args.file).absolute()
    folder = target if target.is_dir() else None
    if folder:
        target = folder / f"{_names(env.site)}{datetime.now(UTC):%Y%m%d-%H%M%S}{_SUFFIX}"
    if target.exists():
        raise UsageError(f"found {target} already, wanted a new file; a copy never replaces one: choose another name")
    if not target.name.endswith(_SUFFIX):
        raise UsageError(
            f"found no folder {target}, wanted one, or a name that ends in {_SUFFIX}; make the folder first"
            f" (mkdir -p {target}), or choose a name such as {target.name}{_SUFFIX}"
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"found no folder {target.parent}, wanted one for the copy; make it first: mkdir -p {target.parent}"
        )
    if not env.database.is_file():
        raise UsageError(f"found no collector database at {env.database}; wanted FABGATE_DATA to point at it")
    lock = data_folder.use(env.data)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fabgate-copy-") as name:
            made = _pack(env, Path(name))
            _put(made, target)
            data_folder.sync_directory(target.parent)
    except OSError as error:
        _refuse_full(error, target.parent)
        raise UsageError(f"found {target}, which cannot be written ({error.strerror or error})") from error
    finally:
        os.close(lock)
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes, SHA-256 {_sum(target)}\n")
    if folder and args.keep:
        # Their names are their order. Of nobody else: the site lyon-2 may keep its copies here too.
        named = re.compile(re.escape(_names(env.site)) + r"\d{8}-\d{6}" + re.escape(_SUFFIX))
        for old in sorted(path for path in folder.iterdir() if named.fullmatch(path.name))[: -args.keep]:
            old.unlink()
            newer = "1 newer one is" if args.keep == 1 else f"{args.keep} newer ones are"
            sys.stdout.write(f"{old}: deleted, {newer} there\n")
    return 0


def restore(args: argparse.Namespace) -> int:
    """Make the collector what it was when the copy was taken."""
    env = _environment()
    _only_sqlite(env, "pg_restore --clean --dbname=URL fabgate.dump", "restored")
    source = Path(args.file).absolute()
    env.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with data_folder.alone(env.data / data_folder.STARTING), _nobody_else(env):
        there = [name for name in data_folder.KEPT if (env.data / name).exists()]
        if there and not args.replace:
            raise UsageError(
                f"found a collector in {env.data} already ({', '.join(there)}), wanted an empty folder; --replace puts"
                " it aside"
            )
        unfinished = env.data / data_folder.RESTORING
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        try:
            told = _unpack(source, unfinished, env)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
        aside = _swap(env.data, unfinished)
    sys.stdout.write(f"The collector is as it was on {told.at:%Y-%m-%d at %H:%M}.\n")
    if aside:
        sys.stdout.write(f"What was there is in {aside}: delete it once all is well.\n")
    sys.stdout.write(
        "Start it: its gates fill the gap, and the rosters are built anew. Everybody signs in again, and programs need new"
        " keys.\nWhat was done on pages and by commands since then is to be done once more, first what shut somebody out:"
        " lost badges, blocks, accounts switched off, gates' new tokens.\n"
    )
    return 0


def _environment() -> environ.Environment:
    """Return what a copy has to know: nothing that is wrong with the broker shall keep one from being taken."""
    needed = ("FABGATE_SITE", "FABGATE_DATA", "FABGATE_DATABASE_URL", "FABGATE_DATABASE_URL_FILE")
    return environ.read(os.environ, need_site=True, only=needed)


def _put(made: Path, target: Path) -> None:
    """Give the finished file its name. Raises FileExistsError where somebody was faster."""
    # Not a rename alone: it would replace what is there.
    try:
        target.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:  # FAT, and what many computers share, know no links
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))
        try:
            made.replace(target)  # what it replaces is ours and empty
        except OSError:
            target.unlink()
            raise


def _refuse_full(error: OSError, folder: Path) -> None:
    """Raise UsageError where `error` says that the disk of `folder` is full."""
    if disk_full.is_full(error):
        raise UsageError(
            f"found the disk of {folder} full, wanted room for database and keys, and for both once more while a copy"
            " is made of them; make room, or choose another disk"
        ) from error


def _names(site: str) -> str:
    return f"fabgate-{site}-"


def _only_sqlite(env: environ.Environment, verb: str, done: str) -> None:
    if env.database_url:
        raise UsageError(
            f"FABGATE_DATABASE_URL: found PostgreSQL, which is {done} with its own tools: {verb}; and {env.data} with"
            " the keys by tar, from the same hour"
        )


def _pack(env: environ.Environment, folder: Path) -> Path:
    """Return the finished file in `folder`, on disk."""
    _copy_database(env.database, folder / _DATABASE)
    # After the database: a key too many does no harm.
    files = {_DATABASE: folder / _DATABASE, **_keys(env.data)}
    told = {
        "fabgate": fabgate.__version__,
        "site": env.site,
        "at": datetime.now(UTC).isoformat(),
        "files": {name: _sum(path) for name, path in files.items()},
    }
    (folder / LIST).write_text(json.dumps(told, indent=1), encoding="utf-8")
    made = folder / "copy"
    with open(made, "xb", opener=_private) as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=5) as archive:
            for name, path in {LIST: folder / LIST, **files}.items():
                archive.add(path, name, recursive=False, filter=_nobodys)
        file.flush()
        os.fsync(file.fileno())
    return made


def _copy_database(source: Path, target: Path) -> None:
    """Copy what is committed now, while others go on writing. Raises OSError where there is no room for it."""
    target.touch(0o600)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=20)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # one file
            found = new.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        if disk_full.is_full(error):  # the copy's disk: the source is only read
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        found = str(error)
    if found != "ok":
        raise FabgateError(f"found {source} damaged ({found}), wanted a sound database; restore an older copy")


def _keys(data: Path) -> dict[str, Path]:
    """Return the files of FABGATE_DATA beside the database, by their names in a copy."""
    found = [data / name for name in data_folder.KEPT if (data / name).is_file() and not name.startswith(_DATABASE)]
    found += [
        path for path in sorted((data / data_folder.GATES).rglob("*")) if path.is_file() and not path.is_symlink()
    ]
    return {str(path.relative_to(data)): path for path in found}


class _Told(msgspec.Struct):
    """The list of a copy: which version made it, of which site, when, and the SHA-256 of each file by its name."""

    fabgate: str
    site: str
    at: datetime
    files: dict[str, str]


def _unpack(source: Path, folder: Path, env: environ.Environment) -> _Told:
    """Put the files of a copy into `folder`, all of them right, and return its list."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                _extract(archive, member, folder)
        told = msgspec.json.decode((folder / LIST).read_bytes(), type=_Told)
        (folder / LIST).unlink()
        told.at = told.at.astimezone()
    except FileNotFoundError as error:
        raise UsageError(f"found no copy of a collector at {source} ({error.strerror})") from error
    except _NO_COPY as error:
        if isinstance(error, OSError):
            _refuse_full(error, env.data)
        raise UsageError(
            f"found {source}, which is no whole copy of a collector ({error}); wanted a file of 'backup'"
        ) from error
    there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    names = sorted({*there, *told.files})
    wrong = [n for n in names if n not in there or n not in told.files or _sum(there[n]) != told.files[n]]
    if wrong or _DATABASE not in there:
        raise UsageError(
            f"found {source} damaged ({', '.join(wrong) or _DATABASE}: missing, added or changed since it was made);"
            " wanted a whole copy: take another one"
        )
    if told.site != env.site:
        raise UsageError(
            f"FABGATE_SITE: found {env.site!r}, but {source} is a copy of {told.site!r}; correct one of them"
        )
    _check_age(folder / _DATABASE, source, told.fabgate)
    (folder / data_folder.RESTORED).touch()
    owner = folder.parent.stat()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)
        data_folder.sync_file(path)
    return told


#: What a file may be refused by that is no copy: by the disk, gzip, tar, the list, and the date in it.
_NO_COPY: Final = (
    *(OSError, EOFError, zlib.error, tarfile.TarError, ValueError, LookupError),
    *(msgspec.MsgspecError, RecursionError, OverflowError),
)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one file of a copy; nothing that could lie outside of `folder`, or be anything but a file."""
    parts = Path(member.name).parts
    file = archive.extractfile(member) if member.isreg() else None
    # Everything but the gates' files lies at the top.
    is_ours = (len(parts) == 1 and parts[0] in _AT_TOP) or (len(parts) > 1 and parts[0] == data_folder.GATES)
    if file is None or ".." in parts or not is_ours:
        raise ValueError(f"{member.name!r} does not belong into one")
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file, open(target, "xb", opener=_private) as out:
        shutil.copyfileobj(file, out)


_AT_TOP: Final = {LIST, *data_folder.KEPT} - {data_folder.GATES}


def _check_age(database: Path, source: Path, version: str) -> None:
    """Refuse a database of a newer version or from before 0.1.0, and a file that is not a collector's database."""
    known = {path.stem for path in _MIGRATIONS.glob("[0-9]*.py")}
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("SELECT name FROM django_migrations WHERE app = 'collector'").fetchall()
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.Error as error:
        raise UsageError(
            f"found {source}, in which {_DATABASE} is no database of a collector ({error}); wanted a file of 'backup':"
            " take another one"
        ) from error
    steps = {str(name) for (name,) in rows}
    if migration.is_before_0_1_0(steps, {str(name) for (name,) in tables}):
        raise UsageError(f"found {source}, a copy from before fabgate 0.1.0; {migration.KEEP_IT}")
    if newer := sorted(steps - known):
        raise UsageError(
            f"found {source} made by fabgate {version}, which knows more than {fabgate.__version__} ({newer[-1]});"
            " install that version first"
        )


def _make_aside(data: Path) -> Path:
    """Make the folder for what is put aside, under a name that no earlier restore of the same second took."""
    named = f"before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    taken = len(list(data.glob(f"{named}*")))
    aside = data / (f"{named}-{taken + 1}" if taken else named)
    aside.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(aside, data.stat().st_uid, data.stat().st_gid)
    return aside


def _swap(data: Path, restored: Path) -> Path | None:
    """Put what is in `data` aside and what was restored in its place; return where the old is."""
    old = [data / name for name in data_folder.KEPT if (data / name).exists()]
    aside = _make_aside(data) if old else None
    for path in old:
        assert aside is not None
        path.rename(aside / path.name)
    for path in list(restored.iterdir()):
        path.rename(data / path.name)
    data_folder.sync_directory(data)
    restored.rmdir()
    data_folder.sync_directory(data)
    return aside


@contextlib.contextmanager
def _nobody_else(env: environ.Environment) -> Iterator[None]:
    handle = data_folder.lock_out(env.data)
    if handle is None:
        raise UsageError(
            f"found a running collector on {env.data}; stop it first (systemctl stop fabgate-collector.target)"
        )
    try:
        yield
    finally:
        os.close(handle)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member

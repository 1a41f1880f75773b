"""What survives when the power fails? A disk below SQLite that keeps exactly what POSIX promises, and no more.

The files are real, in a folder that plays the kernel's page cache. Beside them stands what is on the platter:

* a write is on the platter only after the file was synced. Until then a power cut drops it, keeps a random subset of
  the writes (so they are reordered), or tears them at sectors of 512 bytes;
* a name that was made or deleted is on the platter only after its *directory* was synced;
* a sync that fails leaves its writes dirty, for the next sync to save (``forgetful=False``), or clean and lost, as Linux
  does since it reports an error once only (``forgetful=True``; "fsyncgate", 2018). What is read stays the same.

SQLite's own unix VFS also syncs the directory when it first syncs a journal or WAL. That courtesy is not modelled: it
ignores errors and can be compiled out, so the journal must not live on it.

The n-th write or sync can fail, once or from then on, with EIO or ENOSPC. Every step is counted, so that a test can
walk through all of them.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

import apsw

from fabgate.gate.journal.files import SIDE_FILES

SECTOR: Final = 512
Mode = Literal["drop", "subset", "torn"]
Error = Literal["EIO", "ENOSPC"]
_numbers = itertools.count()


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Make a folder in memory where there is any: what is durable is modelled, a real sync would only cost time."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fabgate-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


class StoppedError(apsw.IOError):
    """The power is off, or the process was killed: nothing can be read, written or synced."""


class Platter:
    """What is durable of one file, and the writes that may become so. A write without bytes is a truncation."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.dirty: list[tuple[int, bytes | None]] = []

    def sync(self) -> None:
        for write in self.dirty:
            self._put(*write)
        self.dirty.clear()

    def lose(self, mode: Mode, random: Random) -> None:
        """Let chance decide which of the dirty writes reached the platter."""
        for offset, data in self.dirty:
            if mode == "drop":
                continue
            if data is None or mode == "subset":
                if random.random() < 0.5:
                    self._put(offset, data)
                continue
            end = offset + len(data)
            at = offset
            while at < end:
                upto = min((at // SECTOR + 1) * SECTOR, end)
                if random.random() < 0.5:
                    self._put(at, data[at - offset : upto - offset])
                at = upto
        self.dirty.clear()

    def _put(self, offset: int, data: bytes | None) -> None:
        if data is None:
            del self.durable[offset:]
            return
        if offset > len(self.durable):
            self.durable.extend(bytes(offset - len(self.durable)))
        self.durable[offset : offset + len(data)] = data


_HalfWritten = tuple[Platter, tuple[int, bytes | None]]


class Disk:
    """One disk with one folder. ``connect``, ``sync_directory``, ``create`` and ``write_back`` are what a Journal takes."""

    def __init__(self, folder: Path, random: Random, *, mode: Mode = "drop", forgetful: bool = False) -> None:
        self.folder = folder
        self.random = random
        self.mode: Mode = mode
        self.forgetful = forgetful
        #: The power is off or the process killed: everything raises until ``restart`` or ``revive``.
        self.off = False
        #: SQL to execute in place of other SQL: how a test spoils one setting.
        self.instead: dict[str, str] = {}
        #: How many writes, truncations, deletions and syncs there were since ``restart`` or the last plan.
        self.steps = 0
        #: What each of those was.
        self.history: list[str] = []
        self._names: dict[str, Platter] = {}
        self._durable_names: dict[str, Platter] = {}
        self._renamed: list[tuple[str, Platter | None]] = []
        self._half_written: _HalfWritten | None = None
        self._stop_at = 0
        self._fail_at = 0
        self._error: Error = "EIO"
        self._for_ever = False
        self._vfs = _Vfs(self)

    # --- what the journal takes ---------------------------------------------------------------------------------------

    def connect(self, path: str) -> Connection:
        """Open a database on this disk."""
        with _as_sqlite3_error():
            return Connection(apsw.Connection(path, vfs=self._vfs.name), self.instead)

    def sync_directory(self, path: Path) -> None:
        """Make the names in the folder durable."""
        assert path == self.folder
        with _as_os_error():
            self.step("sync directory")
        self.names_synced()

    def create(self, path: Path, image: bytes) -> None:
        """Make a whole new file, without what stands beside its name."""
        with _as_os_error():
            for end in SIDE_FILES:
                if (left := str(path) + end) in self._names:
                    self.step(f"delete {Path(left).name}")
                    Path(left).unlink()
                    self.deleted(left)
            self.sync_directory(path.parent)
            fresh = path.with_name(f"{path.name}.new")
            platter, write = self.opened(str(fresh), create=True), (0, image)
            self.step(f"write {fresh.name}", half=(platter, write))
            fresh.write_bytes(image)
            platter.dirty += [(0, None), write]
            self.sync(platter, f"sync {fresh.name}")
            self.step(f"rename {fresh.name}")
            fresh.replace(path)
            self._rename(str(path), platter)
            self._rename(str(fresh), None)
            self.sync_directory(path.parent)

    def write_back(self, path: Path) -> None:
        """Write a file's bytes again and sync it."""
        platter = self._names.get(str(path))
        if platter is None:
            return
        with _as_os_error():
            write = (0, path.read_bytes())
            self.step(f"write {path.name}", half=(platter, write))
            platter.dirty.append(write)
            self.sync(platter, f"sync {path.name}")

    # --- what a test does to it ---------------------------------------------------------------------------------------

    def stop_at(self, step: int) -> None:
        """Stop at that step from now; ``restart`` makes it a power cut, ``revive`` a kill."""
        self._stop_at = self.steps + step

    def fail_at(self, step: int, error: Error = "EIO", *, for_ever: bool = False) -> None:
        """Let that step from now fail, and all later ones until ``heal`` if `for_ever`."""
        self._fail_at, self._error, self._for_ever = self.steps + step, error, for_ever

    @property
    def has_failed(self) -> bool:
        """Whether the step of ``fail_at`` was reached."""
        return 0 < self._fail_at <= self.steps

    def stop(self) -> None:
        """Stop now."""
        self.off = True

    def heal(self) -> None:
        """Let nothing fail any more."""
        self._fail_at = 0

    def revive(self) -> None:
        """Start the process again: all that it wrote is still in the page cache, synced or not."""
        self._half_written = None
        self.off = False
        self._fail_at = self._stop_at = 0

    def restart(self) -> None:
        """Bring the power back: the folder holds what was on the platter. Close every connection before."""
        for name, platter in self._renamed:
            if self.mode != "drop" and self.random.random() < 0.5:
                _name(self._durable_names, name, platter)
        self._renamed.clear()
        if self._half_written is not None:
            platter, write = self._half_written
            platter.dirty.append(write)
            self._half_written = None
        for left in self.folder.iterdir():
            left.unlink()
        for name, platter in self._durable_names.items():
            platter.lose(self.mode, self.random)
            Path(name).write_bytes(platter.durable)
        self._names = dict(self._durable_names)
        self.history.clear()
        self.revive()

    def close(self) -> None:
        """Give the VFS back."""
        self._vfs.unregister()

    # --- what the files do --------------------------------------------------------------------------------------------

    def step(self, what: str, *, half: _HalfWritten | None = None) -> None:
        """Count one step; raise when it is the one to fail. `half` is what a power cut then may have written."""
        self.alive()
        self.steps += 1
        self.history.append(what)
        if self.steps == self._stop_at:
            self.off = True
            self._half_written = half
            raise StoppedError(what)
        if self._fail_at and (self.steps >= self._fail_at if self._for_ever else self.steps == self._fail_at):
            if self._error == "ENOSPC" and not what.startswith("sync"):
                raise apsw.FullError(what)
            raise apsw.IOError(what)

    def alive(self) -> None:
        """Raise when the power is off."""
        if self.off:
            raise StoppedError("off")

    def opened(self, name: str, *, create: bool) -> Platter:
        if create and name not in self._names:
            self._rename(name, Platter())
        return self._names[name]

    def deleted(self, name: str) -> None:
        self._rename(name, None)

    def sync(self, platter: Platter, what: str) -> None:
        try:
            self.step(what)
        except StoppedError:
            raise
        except apsw.Error:
            if self.forgetful:
                platter.lose(self.mode, self.random)
            raise
        platter.sync()

    def names_synced(self) -> None:
        for name, platter in self._renamed:
            _name(self._durable_names, name, platter)
        self._renamed.clear()

    def _rename(self, name: str, platter: Platter | None) -> None:
        _name(self._names, name, platter)
        self._renamed.append((name, platter))


def _name(names: dict[str, Platter], name: str, platter: Platter | None) -> None:
    if platter is None:
        names.pop(name, None)
    else:
        names[name] = platter


class _Vfs(apsw.VFS):
    """SQLite's own VFS, watched. Shared memory goes past it: that is memory, and gone at a cut."""

    def __init__(self, disk: Disk) -> None:
        self.name = f"disk-{next(_numbers)}"
        self.disk = disk
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        self.disk.alive()
        if name is None:
            return apsw.VFSFile("", None, flags)
        return _File(self.disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.disk.step(f"delete {Path(filename).name}")
        super().xDelete(filename, syncdir)
        self.disk.deleted(filename)
        if syncdir:
            self.disk.names_synced()

    def excepthook(self, *_: object) -> None:
        """Print no traceback: the errors are the point."""


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        create = bool(flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("", name, flags)
        self._disk = disk
        self._name = Path(path).name
        self._platter = disk.opened(path, create=create)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.alive()
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        write = (offset, bytes(data))
        self._disk.step(f"write {self._name}", half=(self._platter, write))
        super().xWrite(data, offset)
        self._platter.dirty.append(write)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.step(f"truncate {self._name}")
        super().xTruncate(newsize)
        self._platter.dirty.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.sync(self._platter, f"sync {self._name}")

    def excepthook(self, *_: object) -> None:
        """Print no traceback: the errors are the point."""


class Connection:
    """The adapter: an apsw connection that looks like sqlite3's as far as the journal uses it."""

    def __init__(self, db: apsw.Connection, instead: dict[str, str]) -> None:
        self._db = db
        self._instead = instead

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> _Rows:
        with _as_sqlite3_error():
            return _Rows(self._db.execute(self._instead.get(sql, sql), values).fetchall())

    def close(self) -> None:
        with _as_sqlite3_error():
            self._db.close()


class _Rows:
    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


@contextlib.contextmanager
def _as_sqlite3_error() -> Iterator[None]:
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise sqlite3.DatabaseError(str(error)) from error
    except apsw.ConstraintError as error:
        raise sqlite3.IntegrityError(str(error)) from error
    except apsw.Error as error:
        raise sqlite3.OperationalError(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise OSError(str(error)) from error

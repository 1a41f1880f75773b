"""Notices that the journal's files were removed, moved or replaced, and moves files out of the way.

An open file can still be written after it was removed, moved or replaced; such writes are lost when the process ends. So
the journal compares the files under its names with what it last wrote: before each write, after each commit and before
that commit is confirmed, and regularly while nothing is written (docs/decisions/0046).

Which changes are the journal's own: a transaction writes only the WAL, because SQLite's automatic checkpoints are off.
The main file changes when the journal opens it and when it *folds* the WAL into it (what SQLite calls a checkpoint; here
that word means a session's). Readers change neither file. Any other change of device, inode, size or modification time
was made by another program.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fabgate.errors import JournalError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.journal.reader import JournalReader

log = logging.getLogger(__name__)

#: The endings of the files that SQLite keeps next to a database.
SIDE_FILES: Final = ("-wal", "-shm", "-journal")
#: How many failed writes a file that was moved away has to be put back: ten seconds at the recorder's pace.
PUT_BACK_TRIES: Final = 5

#: Device, inode, size in bytes and modification time in nanoseconds of a file.
Stamp = tuple[int, int, int, int]


def create_database(path: Path, image: bytes) -> None:
    """Make a database file from these bytes, complete and durable, or not at all. The file must not exist yet.

    Side files of an earlier database are removed first: SQLite would play its WAL into this one. A WAL with content is
    kept under another name: its main file may be found again.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").stat().st_size:
            kept = put_wal_aside(path, "unknown")
            log.error("%s: there was a -wal without its file; it is kept as %s", path, kept.name)
    for end in SIDE_FILES:
        path.with_name(path.name + end).unlink(missing_ok=True)
    fsync_directory(path.parent)
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    fsync_directory(path.parent)


def rewrite_and_sync(path: Path) -> None:
    """Write a file's bytes again and sync them; do nothing where there is no file.

    A sync alone is not enough: after a failed sync Linux counts the pages as written, and the next sync succeeds.
    """
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def same_file(one: Stamp | None, other: Stamp | None) -> bool:
    """Whether two stamps are of the same file, even if it was written in between."""
    return one is not None and other is not None and one[:2] == other[:2]


class JournalFiles:
    """The main file of one journal and its WAL, and their stamps after the journal's own last write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._main_name = str(path)
        self._wal_name = f"{path}-wal"
        #: The stamps after the journal's own last write.
        self.main: Stamp | None = None
        self.wal: Stamp | None = None
        #: The stamps of other files at the last try, and for how many tries they have been the same.
        self._foreign: tuple[Stamp | None, Stamp | None] | None = None
        self._tries = 0

    def stamps(self) -> tuple[Stamp | None, Stamp | None]:
        """Return the stamps of the main file and the WAL now."""
        return _stamp(self._main_name), _stamp(self._wal_name)

    def remember(self) -> None:
        """Note both files as they are now, after the journal has opened or folded them."""
        self.main, self.wal = self.stamps()
        self._foreign, self._tries = None, 0

    def are_unchanged(self) -> bool:
        """Whether no other program has changed the files since the journal's last write."""
        return _stamp(self._main_name) == self.main and _stamp(self._wal_name) == self.wal

    def accept_transaction(self) -> bool:
        """Note the files after our transaction; return False if they lost their names or another program wrote."""
        before, wal = self.wal, _stamp(self._wal_name)
        if wal is None or _stamp(self._main_name) != self.main:
            return False
        if before is not None and (wal[1] != before[1] or wal[2] < before[2] or wal[0] != before[0]):
            return False
        self.wal = wal
        return True

    def accept_fold(self) -> bool:
        """Note the files as our folding left them; return False if they lost their names."""
        main, wal = self.stamps()
        if not (same_file(main, self.main) and same_file(wal, self.wal)):
            return False
        self.main, self.wal = main, wal
        return True

    def has_waited(self) -> bool:
        """Whether there was time to put the file back, and the file in its place is no longer being copied."""
        foreign = self.stamps()
        self._tries = self._tries + 1 if foreign == self._foreign else 1
        self._foreign = foreign
        return self._tries > PUT_BACK_TRIES

    # --- recovery: the connection is still open in each of these, and is closed by the caller --------------------------

    def drop_wal(self) -> None:
        """Remove the WAL. Call it only when the main file has all its content, or belongs to another journal."""
        Path(self._wal_name).unlink(missing_ok=True)

    def drop_index(self) -> None:
        """Remove SQLite's index of the WAL (``-shm``), which belongs to this WAL only. SQLite makes a new one."""
        self._path.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)

    def put_aside(self, journal: str, sync_directory: Callable[[Path], None]) -> Path:
        """Rename the main file and its WAL so that a person can find them; return the main file's new name."""
        aside = _free_name(self._path, journal[-8:])
        self._path.rename(aside)
        with contextlib.suppress(FileNotFoundError):
            Path(self._wal_name).rename(f"{aside}-wal")
        self.drop_index()
        sync_directory(self._path.parent)
        return aside

    def put_wal_aside(self, journal: str) -> Path:
        """Rename the WAL alone; return its new name."""
        return put_wal_aside(self._path, journal[-8:])


def refuse_link(path: Path) -> None:
    """Raise JournalError where a journal's name is a symbolic link: its WAL would be in another folder."""
    if path.is_symlink():
        raise JournalError(
            f"{path}: found a link to {path.readlink()}, wanted the journal itself: its -wal has to be in the same folder."
            " Move both files back here, or let state_dir name the folder where they are"
        )


def set_aside_foreign_wal(path: Path) -> Path | None:
    """Rename a WAL that belongs to another main file, such as one that an older copy replaced; return its new name.

    SQLite does not notice: it would play one journal's pages into another. A WAL continues where its main file ends, so
    the entries of both together are a chain. The WAL is foreign only where they are not a chain and the main file alone
    is. Call it while no program has the file open. Raises OSError.
    """
    wal = path.with_name(f"{path.name}-wal")
    try:
        if not wal.stat().st_size or _belong_together(path):
            return None
    except (FileNotFoundError, JournalError, sqlite3.Error):
        return None  # there is no WAL, or a file cannot be read: opening it reports that
    kept = put_wal_aside(path, "unknown")
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return kept


def _belong_together(path: Path) -> bool:
    """Whether a main file and its WAL are one journal, as far as their content shows."""
    alone_db = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
    with contextlib.closing(alone_db), contextlib.closing(JournalReader(path)) as both:
        try:
            alone = JournalReader(path, alone_db)
            _, head, _ = alone.bounds()
            head_hash = alone.hash_at(head) or b""
        except JournalError:
            return True  # a kill while folding leaves a main file that only its WAL completes
        with contextlib.suppress(JournalError):
            is_next = both.id == alone.id and head >= both.bounds()[0] - 1 and both.hash_at(head) == head_hash
            if is_next and both.first_break(after=(head, head_hash)) is None:
                return True
            if both.is_sound() and both.first_break() is None:
                return True
        return not (alone.is_sound() and alone.first_break() is None)


def put_wal_aside(path: Path, what: str) -> Path:
    """Rename the WAL of the main file `path`, which is not there, so that both can be put back; return its new name."""
    kept = Path(f"{_free_name(path, what)}-wal")
    Path(f"{path}-wal").rename(kept)
    return kept


def _free_name(path: Path, what: str) -> Path:
    """Return a name for a journal that is put aside; no file and no WAL has it yet."""
    number = 1
    while any(path.with_name(f"journal-aside-{what}-{number}.db{end}").exists() for end in ("", "-wal")):
        number += 1
    return path.with_name(f"journal-aside-{what}-{number}.db")


def _stamp(name: str) -> Stamp | None:
    try:
        # Not stat(): a symbolic link is another file, and SQLite would keep the WAL next to its target.
        status = os.lstat(name)  # not Path.lstat(): called for every entry, while a member waits for power
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

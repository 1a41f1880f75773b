"""Are the files under the journal's names still the ones that we write, and what is done when they are not?

A file that is open can be written after somebody removed, moved or replaced it; what is written then ends with the
process. So the journal compares what its names stand for with what it last wrote: before each write, after each
commit and before that commit is confirmed, and now and then while nothing is written (docs/decisions/0046).

Which changes are ours: a transaction writes the WAL and nothing else, because SQLite does not fold by itself here. The
main file changes where the journal opens it and where it folds. Readers change neither file. Any other change of
device, inode, size or time of modification is somebody else's.
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
from fabgate.gate.journal.reader import Reader

log = logging.getLogger(__name__)

#: What SQLite keeps beside a database.
BESIDE: Final = ("-wal", "-shm", "-journal")
#: A file that was moved away may be put back: it is waited for over so many tries, ten seconds at the recorder's pace.
PUT_BACK_TRIES: Final = 5

#: Device, inode, size in bytes, time of modification in nanoseconds; None where there is no file.
Stamp = tuple[int, int, int, int]


def plain_begin(path: Path, image: bytes) -> None:
    """Make a database of these bytes, whole and durable or not at all; there is none.

    What another one left beside the name goes first: SQLite would play its WAL into this one. A WAL that holds anything is
    kept under another name: its main file may be found again.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").stat().st_size:
            kept = put_wal_aside(path, "unknown")
            log.error("%s: there was a -wal without its file; it is kept as %s", path, kept.name)
    for end in BESIDE:
        path.with_name(path.name + end).unlink(missing_ok=True)
    fsync_directory(path.parent)
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    fsync_directory(path.parent)


def plain_write_back(path: Path) -> None:
    """Write a file's bytes again and sync them; nothing when there is no file.

    A sync alone is not enough: after one that failed, Linux counts the pages as written and the next one succeeds.
    """
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def same_file(one: Stamp | None, other: Stamp | None) -> bool:
    """Whether two stamps are of one file, however it was written between them."""
    return one is not None and other is not None and one[:2] == other[:2]


class JournalFiles:
    """The main file of one journal and its WAL: as they are, and as they were when the journal last wrote them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._main_name = str(path)
        self._wal_name = f"{path}-wal"
        #: What we last wrote.
        self.main: Stamp | None = None
        self.wal: Stamp | None = None
        #: What was found instead at the last try, and how often in a row.
        self._found: tuple[Stamp | None, Stamp | None] | None = None
        self._tries = 0

    def look(self) -> tuple[Stamp | None, Stamp | None]:
        """Return what stands under the two names now."""
        return _stamp(self._main_name), _stamp(self._wal_name)

    def learn(self) -> None:
        """Take what stands there for ours: the journal was opened or folded."""
        self.main, self.wal = self.look()
        self._found, self._tries = None, 0

    def are_ours(self) -> bool:
        """Whether nobody else changed anything since we last wrote."""
        return _stamp(self._main_name) == self.main and _stamp(self._wal_name) == self.wal

    def took_transaction(self) -> bool:
        """Learn what our transaction changed; say whether it went into the named files, and nobody wrote meanwhile."""
        before, wal = self.wal, _stamp(self._wal_name)
        if wal is None or _stamp(self._main_name) != self.main:
            return False
        if before is not None and (wal[1] != before[1] or wal[2] < before[2] or wal[0] != before[0]):
            return False
        self.wal = wal
        return True

    def took_fold(self) -> bool:
        """Learn what our fold changed; say whether it went into the named files."""
        main, wal = self.look()
        if not (same_file(main, self.main) and same_file(wal, self.wal)):
            return False
        self.main, self.wal = main, wal
        return True

    def stay_away(self) -> bool:
        """Whether our file was given time to be put back, and what stands in its place is not being copied any more."""
        found = self.look()
        self._tries = self._tries + 1 if found == self._found else 1
        self._found = found
        return self._tries > PUT_BACK_TRIES

    # --- the way back: the connection is still open in each of these, and is closed by the caller ----------------------

    def drop_wal(self) -> None:
        """Remove the WAL that stands there. To be called once the main file holds all, or is not ours."""
        Path(self._wal_name).unlink(missing_ok=True)

    def drop_index(self) -> None:
        """Remove SQLite's index of the WAL, which it makes again: it is of another WAL than the next one to be read."""
        self._path.with_name(f"{self._path.name}-shm").unlink(missing_ok=True)

    def put_aside(self, journal: str, sync_directory: Callable[[Path], None]) -> Path:
        """Give both files other names, under which a person finds them; return the main one's."""
        aside = _free_name(self._path, journal[-8:])
        self._path.rename(aside)
        with contextlib.suppress(FileNotFoundError):
            Path(self._wal_name).rename(f"{aside}-wal")
        self.drop_index()
        sync_directory(self._path.parent)
        return aside

    def put_wal_aside(self, journal: str) -> Path:
        """Give the WAL alone another name; return it."""
        return put_wal_aside(self._path, journal[-8:])


def refuse_link(path: Path) -> None:
    """Raise JournalError where a journal's name is a link: its WAL would be where nobody looks for it."""
    if path.is_symlink():
        raise JournalError(
            f"{path}: found a link to {path.readlink()}, wanted the journal itself: its -wal has to be beside it. Move"
            " both files back here, or let state_dir name the folder where they are"
        )


def part_strange_wal(path: Path) -> Path | None:
    """Rename a WAL that is not of this main file, such as of the journal that an older copy replaced; return its name.

    SQLite does not notice: it would play one journal's pages into another. A WAL goes on where its main file ends, so
    that the entries in both together are a chain. Only where they are none, and the main file alone is whole, is it
    another one's. To be called while nobody has the file open. Raises OSError.
    """
    wal = path.with_name(f"{path.name}-wal")
    try:
        if not wal.stat().st_size or _goes_on(path):
            return None
    except (FileNotFoundError, JournalError, sqlite3.Error):
        return None  # none, or a file that cannot be read: whoever opens it says so
    kept = put_wal_aside(path, "unknown")
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return kept


def _goes_on(path: Path) -> bool:
    """Whether a main file and its WAL are one journal, as far as they can tell."""
    alone_db = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)
    with contextlib.closing(alone_db), contextlib.closing(Reader(path)) as both:
        try:
            alone = Reader(path, alone_db)
            _, head, _ = alone.bounds()
            known = alone.hash_at(head) or b""
        except JournalError:
            return True  # a kill within a fold leaves a main file that only its WAL completes
        with contextlib.suppress(JournalError):
            is_next = both.id == alone.id and head >= both.bounds()[0] - 1 and both.hash_at(head) == known
            if is_next and both.first_break(after=(head, known)) is None:
                return True
            if both.is_sound() and both.first_break() is None:
                return True
        return not (alone.is_sound() and alone.first_break() is None)


def put_wal_aside(path: Path, what: str) -> Path:
    """Rename the WAL of a main file `path` that is not there, so that it can be put back with it; return its new name."""
    kept = Path(f"{_free_name(path, what)}-wal")
    Path(f"{path}-wal").rename(kept)
    return kept


def _free_name(path: Path, what: str) -> Path:
    """Return a name for a journal that is put aside, which neither a file nor a WAL has."""
    number = 1
    while any(path.with_name(f"journal-aside-{what}-{number}.db{end}").exists() for end in ("", "-wal")):
        number += 1
    return path.with_name(f"journal-aside-{what}-{number}.db")


def _stamp(name: str) -> Stamp | None:
    try:
        # A link is another file: SQLite keeps the WAL beside what it points to.
        found = os.lstat(name)  # with every entry, while somebody waits for power
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

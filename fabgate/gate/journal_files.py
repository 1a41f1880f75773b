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
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fabgate.gate.clock import fsync_directory

#: What SQLite keeps beside a database.
BESIDE: Final = ("-wal", "-shm", "-journal")
#: A file that was moved away may be put back: it is waited for over so many tries, ten seconds at the recorder's pace.
PUT_BACK_TRIES: Final = 5

#: Device, inode, size in bytes, time of modification in nanoseconds; None where there is no file.
Stamp = tuple[int, int, int, int]


def plain_begin(path: Path, image: bytes) -> None:
    """Make a database of these bytes, whole and durable or not at all; there is none.

    What another one left beside the name goes first: SQLite would play its WAL into this one.
    """
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
        number = 1
        while (aside := self._path.with_name(f"journal-aside-{journal[-8:]}-{number}.db")).exists():
            number += 1
        self._path.rename(aside)
        with contextlib.suppress(FileNotFoundError):
            Path(self._wal_name).rename(f"{aside}-wal")
        self.drop_index()
        sync_directory(self._path.parent)
        return aside


def _stamp(name: str) -> Stamp | None:
    try:
        found = os.stat(name)  # noqa: PTH116 - with every entry, while somebody waits for power
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

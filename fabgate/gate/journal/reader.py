"""Reads a journal without writing to it.

The uplink, the verbs and the checks open the file read-only, while one thread writes it. What a worn card returns
damaged is reported as damage, with the name of the file, and never as a crash.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.errors import JournalError, SealError, UsageError
from fabgate.seal import ZERO_HASH, entry_hash, first_break, from_text

#: Entries are written and read once, in order: SQLite's default cache of 2 MiB for each connection would never be used.
SMALL_CACHE: Final = "PRAGMA cache_size=-256"
#: What reading a damaged file raises besides SQLite's errors, when wrong values meet the code that uses them.
DAMAGE: Final = (LookupError, TypeError, ValueError, OverflowError, msgspec.MsgspecError)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading a damaged file into a JournalError: a worn card returns wrong bytes anywhere."""
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(f"{path}: the journal cannot be read ({error})") from error
    except DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> JournalError:
    """Return the error for a file whose content is not that of a journal."""
    return JournalError(
        f"{path}: the file is not a journal, or is damaged ({error!r}). Move it away to start a new one"
    )


def as_bytes(value: object) -> bytes:
    """Return the bytes of a column. Raises TypeError for any other type: bytes(7) would make seven zeroes."""
    if not isinstance(value, bytes):
        raise TypeError(f"found {type(value).__name__}, wanted bytes")
    return value


class StoredEntry(msgspec.Struct, frozen=True):
    """One entry as it is published. `body` is the stored bytes."""

    seq: int
    type: str
    body: bytes


class JournalReader:
    """A read-only view of a journal, for another thread or process. Raises JournalError where the file is damaged."""

    def __init__(self, path: Path, db: sqlite3.Connection | None = None) -> None:
        """Open `path`, or read through an open connection `db`, which the caller closes."""
        self.path = path
        self._is_own = db is None
        self._db = self._open(path) if db is None else db
        try:
            with reading(path):
                if db is None:
                    self._rows(SMALL_CACHE)
                meta = dict(self._rows("SELECT key, value FROM meta"))
                self.id = str(meta["journal"])
                self.topics = wire.GateTopics(str(meta["site"]), str(meta["gate"]))
        except JournalError:
            self.close()
            raise

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        if not path.is_file():
            # Checked first: a connection that sqlite3 failed to open is never closed, and newer Pythons warn about it.
            raise JournalError(f"{path}: the journal cannot be read (there is no such file)")
        try:
            address = f"{path.absolute().as_uri()}?mode=ro"
            return sqlite3.connect(address, uri=True, check_same_thread=False, timeout=5)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: the journal cannot be read ({error})") from error

    def after(self, seq: int, *, most: int) -> list[StoredEntry]:
        """Return at most `most` entries after `seq`, in order."""
        page = "SELECT seq, type, CAST(body AS BLOB) FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
        with reading(self.path):
            rows = self._rows(page, seq, most)
            return [StoredEntry(int(n), str(kind), as_bytes(body)) for n, kind, body in rows]

    def hash_at(self, seq: int) -> bytes | None:
        """Return the hash of an entry or of the anchor, or zero for 0; None where the journal does not have it."""
        if seq == 0:
            return ZERO_HASH
        with reading(self.path):
            rows = self._rows("SELECT hash FROM entry WHERE seq = ?", seq)
            if rows:
                return as_bytes(rows[0][0])
            anchor_seq, anchor = self._anchor()
            return anchor if anchor_seq == seq else None

    def bounds(self) -> tuple[int, int, int]:
        """Return the numbers of the oldest, the newest and the last acknowledged entry (floor, head, mark)."""
        with reading(self.path):
            floor = self._anchor()[0] + 1
            head = self._rows("SELECT max(seq) FROM entry")[0][0]
            mark = self._rows("SELECT value FROM meta WHERE key = 'mark'")[0][0]
            return floor, floor - 1 if head is None else int(head), int(mark)

    def is_sound(self) -> bool:
        """Whether SQLite finds no mistake in the structure of the file. Reads the whole file."""
        with reading(self.path):
            return self._rows("PRAGMA quick_check(1)") == [("ok",)]

    def first_break(self, *, after: tuple[int, bytes] | None = None) -> int | None:
        """Check the chain from the anchor; return the number of the first entry that does not continue it, or None.

        `after` is the number and hash of the entry to begin after. Entries missing at the end are noticed only if a
        collector has acknowledged them, because no later entry has their hash.
        """
        with reading(self.path):
            self._rows("BEGIN")  # one snapshot: the writer may trim meanwhile
            try:
                seq, prev = self._anchor() if after is None else after
                broken = first_break(self._links(seq), after=seq, prev=prev)
                _, head, mark = self.bounds()
            finally:
                self._rows("COMMIT")
        return head + 1 if broken is None and mark > head else broken

    def _links(self, after: int) -> Iterator[tuple[int, bytes, bytes]]:
        page = (
            "SELECT seq, uid, type, CAST(hash AS BLOB), CAST(body AS BLOB) FROM entry"
            " WHERE seq > ? ORDER BY seq LIMIT 500"
        )
        while rows := self._rows(page, after):
            for seq, uid, kind, stored_hash, body in rows:
                yield int(seq), _carried(int(seq), uid, kind, stored_hash, body), body
            after = int(rows[-1][0])

    def _anchor(self) -> tuple[int, bytes]:
        meta = dict(self._rows("SELECT key, value FROM meta WHERE key LIKE 'anchor%'"))
        return int(meta["anchor_seq"]), as_bytes(meta["anchor_hash"])

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the view."""
        if self._is_own:
            self._db.close()


def _carried(seq: int, uid: str, kind: str, stored_hash: bytes, body: bytes) -> bytes:
    """Return the ``prev`` of an entry, or b"" where the columns of its row do not agree with its bytes."""
    try:
        entry = wire.decode_entry(body)
        prev = from_text(entry.prev)
    except (UsageError, SealError):
        return b""
    row = (seq, uid, wire.full_type(kind), stored_hash)
    return prev if row == (entry.seq, entry.uid, entry.type, entry_hash(body)) else b""

"""What does a journal say, to whoever only reads it?

The network, the commands and the checks open the file read-only, beside the one thread that writes it. What a worn card
gives back damaged is told as that, with the file, and never as a crash.
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

#: Entries are written and read once, in order. SQLite's 2 MiB for each connection would fill and never be looked at.
SMALL_CACHE: Final = "PRAGMA cache_size=-256"
#: What reading a damaged file raises beside SQLite's errors: whatever meets what SQLite still gives.
DAMAGE: Final = (LookupError, TypeError, ValueError, OverflowError, msgspec.MsgspecError)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise what reading a damaged file raises as a JournalError: a worn card gives back other bytes, in any place."""
    try:
        yield
    except sqlite3.Error as error:
        raise JournalError(f"{path}: the journal cannot be read ({error})") from error
    except DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> JournalError:
    """Return the error of a file in which something was found that no journal has."""
    return JournalError(f"{path}: the file is no journal or is damaged ({error!r}). Put it aside to start a new one")


def blob(found: object) -> bytes:
    """Return the bytes of a column. Raises TypeError for any other kind: of a number bytes() would make so many."""
    if not isinstance(found, bytes):
        raise TypeError(f"found {type(found).__name__}, wanted bytes")
    return found


class StoredEntry(msgspec.Struct, frozen=True):
    """One entry as it is published. `body` are the stored bytes."""

    seq: int
    type: str
    body: bytes


class Reader:
    """A read-only view of a journal, for another thread or process. Where the file is damaged, JournalError says so."""

    def __init__(self, path: Path, db: sqlite3.Connection | None = None) -> None:
        """Open `path`, or read by a connection that is open already and stays the caller's."""
        self.path = path
        self._is_own = db is None
        self._db = self._open(path) if db is None else db
        try:
            with readable(path):
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
            # Asked here: a connection that sqlite3 cannot open is never closed, and newer Pythons complain of it.
            raise JournalError(f"{path}: the journal cannot be read (there is no such file)")
        try:
            address = f"{path.absolute().as_uri()}?mode=ro"
            return sqlite3.connect(address, uri=True, check_same_thread=False, timeout=5)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: the journal cannot be read ({error})") from error

    def after(self, seq: int, *, most: int) -> list[StoredEntry]:
        """Return the entries after `seq`, in order, at most `most`."""
        page = "SELECT seq, type, CAST(body AS BLOB) FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
        with readable(self.path):
            rows = self._rows(page, seq, most)
            return [StoredEntry(int(n), str(kind), blob(body)) for n, kind, body in rows]

    def hash_at(self, seq: int) -> bytes | None:
        """Return the hash of an entry, of the anchor, or of nothing (zero); None when it is not known here."""
        if seq == 0:
            return ZERO_HASH
        with readable(self.path):
            rows = self._rows("SELECT hash FROM entry WHERE seq = ?", seq)
            if rows:
                return blob(rows[0][0])
            anchor_seq, anchor = self._anchor()
            return anchor if anchor_seq == seq else None

    def bounds(self) -> tuple[int, int, int]:
        """Return floor, head and mark."""
        with readable(self.path):
            floor = self._anchor()[0] + 1
            head = self._rows("SELECT max(seq) FROM entry")[0][0]
            mark = self._rows("SELECT value FROM meta WHERE key = 'mark'")[0][0]
            return floor, floor - 1 if head is None else int(head), int(mark)

    def is_sound(self) -> bool:
        """Whether SQLite finds no mistake in the file's own structure. Reads all of it."""
        with readable(self.path):
            return self._rows("PRAGMA quick_check(1)") == [("ok",)]

    def first_break(self, *, after: tuple[int, bytes] | None = None) -> int | None:
        """Check the chain from the anchor; return the number of the first entry that does not follow, or None.

        `after`: check it from the entry of this number and hash on. The last entries can be cut off unseen where no
        collector has acknowledged them: nothing follows them.
        """
        with readable(self.path):
            self._rows("BEGIN")  # one view: the writer may trim meanwhile
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
        return int(meta["anchor_seq"]), blob(meta["anchor_hash"])

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Close the view."""
        if self._is_own:
            self._db.close()


def _carried(seq: int, uid: str, kind: str, stored_hash: bytes, body: bytes) -> bytes:
    """Return the ``prev`` that an entry carries, or nothing when its row does not agree with its bytes."""
    try:
        entry = wire.decode_entry(body)
        prev = from_text(entry.prev)
    except (UsageError, SealError):
        return b""
    row = (seq, uid, wire.full_type(kind), stored_hash)
    return prev if row == (entry.seq, entry.uid, entry.type, entry_hash(body)) else b""

"""What happened at this machine, in order, durable, and not yet forgotten by anybody?

An append-only SQLite file. It is the book and the outbox at once: each entry's bytes are made here once, stored,
chained, and later published as they are. Nothing is ever changed; acknowledged entries are trimmed from the old end,
leaving an anchor from which the chain can still be checked.

Why it is written as it is (measured, see docs/decisions/0003):

* WAL with ``synchronous=FULL``: with NORMAL a power cut loses acknowledged rows.
* The directory is fsynced once the file is made: otherwise a cut may bring the empty directory back.
* A COMMIT that raised may be durable all the same. So the caller makes the uids, and ``append`` may be called again
  with the same drafts after any error: it re-opens the file, looks, and writes only what is not there.
* On a full disk even DELETE fails: a reserve file is kept, to be freed for the end of a running session.

One thread writes. Readers open the file read-only (``Reader``); WAL lets them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.ids import uuid7
from fabgate.seal import ZERO_HASH, entry_hash, first_break, first_prev, from_text, to_text

SCHEMA_VERSION: Final = 1
RESERVE_BYTES: Final = 1024 * 1024
Connect = Callable[[str], Any]

_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY, uid TEXT NOT NULL, type TEXT NOT NULL, at_ms INTEGER, hash BLOB NOT NULL, body BLOB NOT NULL
);
CREATE TABLE open_session (
    one INTEGER PRIMARY KEY CHECK (one = 1), session TEXT NOT NULL, member TEXT NOT NULL, badge TEXT NOT NULL,
    roster INTEGER NOT NULL, energised_ms INTEGER NOT NULL, running_ms INTEGER NOT NULL,
    boot TEXT NOT NULL, boot_ms INTEGER NOT NULL, slack_ms INTEGER NOT NULL
);
CREATE TABLE latched (word TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact on its way into the journal. `uid` is made by the caller, so that a retry is the same fact."""

    uid: str
    type: str
    data: wire.Data
    time: datetime | None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The durable checkpoint of the session that has the power. `slack_ms` is what a power cut adds to its doubt."""

    session: str
    member: str
    badge: str
    roster: int
    energised_ms: int
    running_ms: int
    boot: str
    boot_ms: int
    slack_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction does beside appending. A session is opened, or the one named is closed."""

    opens: OpenSession | None = None
    closes: frozenset[str] = frozenset()
    latch: frozenset[str] = frozenset()
    unlatch: frozenset[str] = frozenset()


NO_CHANGE: Final = Change()


def plain_connect(path: str) -> sqlite3.Connection:
    """Open the standard way: no implicit transactions; used by whichever thread owns the journal."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


class Journal:
    """One gate's journal. `connect` is injected so that tests can put a failing disk below it."""

    def __init__(
        self, path: Path, topics: wire.GateTopics, *, connect: Connect = plain_connect, reserve: Path | None = None
    ) -> None:
        self.path = path
        self.topics = topics
        self.id = ""
        #: Whether ``open`` made a new file.
        self.is_new = False
        self.head = 0
        self.mark = 0
        self.anchor = (0, b"")
        self._head_hash = b""
        self._connect = connect
        self._db: Any = None
        #: Nothing was appended since the file was opened: what is asked for may be there already.
        self._reopened = True
        self._reserve = reserve or path.with_name("reserve")

    # --- open and close -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or make the file. Raises JournalError when it cannot be written, read or is another gate's."""
        try:
            self._db = self._connect(str(self.path))
            self._execute("PRAGMA journal_mode=WAL")
            self._execute("PRAGMA synchronous=FULL")
            self._execute("PRAGMA wal_autocheckpoint=200")
            if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
                self._create()
            fsync_directory(self.path.parent)
            self._load()
        except JournalError:
            self.close()
            raise
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(
                f"{self.path}: the journal cannot be opened ({error}); no session can start until it can."
                " Check that the disk is not full and not read-only"
            ) from error

    def _create(self) -> None:
        self.is_new = True
        with self._transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._execute(statement)
            journal = uuid7().replace("-", "")
            for key, value in (
                ("schema", SCHEMA_VERSION),
                ("journal", journal),
                ("site", self.topics.site),
                ("gate", self.topics.gate),
                ("mark", 0),
                ("anchor_seq", 0),
                ("anchor_hash", first_prev(journal)),
            ):
                self._execute("INSERT INTO meta VALUES (?, ?)", key, value)

    def _load(self) -> None:
        meta = dict(self._rows("SELECT key, value FROM meta"))
        if meta["schema"] != SCHEMA_VERSION:
            raise JournalError(
                f"{self.path}: found a journal of schema {meta['schema']}, wanted {SCHEMA_VERSION}: it was written by"
                " another version of fabgate; install that one"
            )
        found = f"{meta['site']}/{meta['gate']}"
        if found != self.topics.account:
            raise JournalError(
                f"{self.path}: the journal belongs to {found}, the configuration says {self.topics.account}."
                " Put the name right, or run 'fabgate rename' to start a new journal"
            )
        self.id = str(meta["journal"])
        self.mark = int(meta["mark"])
        self.anchor = (int(meta["anchor_seq"]), bytes(meta["anchor_hash"]))
        last = self._rows("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")
        self._reopened = True
        self.head, self._head_hash = (int(last[0][0]), bytes(last[0][1])) if last else self.anchor

    def close(self) -> None:
        """Close the file. Never raises."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(Exception):
                db.close()

    # --- write --------------------------------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft], change: Change = NO_CHANGE) -> int:
        """Put drafts on disk in one transaction; return the number of the last one.

        Raises JournalError when that is not certain. Call again with the same drafts: nothing is written twice.
        """
        with self._certain_or_closed("written"):
            if not (self._reopened and self._holds(drafts)):
                self._write(drafts, change)
            self._reopened = False
        return self.head

    def _write(self, drafts: Sequence[Draft], change: Change) -> None:
        seq, prev = self.head, self._head_hash
        with self._transaction():
            for draft in drafts:
                seq += 1
                body = wire.encode_entry(
                    topics=self.topics,
                    journal=self.id,
                    seq=seq,
                    prev=to_text(prev),
                    uid=draft.uid,
                    event_type=draft.type,
                    data=draft.data,
                    time=draft.time,
                )
                prev = entry_hash(body)
                at_ms = None if draft.time is None else round(draft.time.timestamp() * 1000)
                self._execute(
                    "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", seq, draft.uid, draft.type, at_ms, prev, body
                )
            self._apply(change)
        self.head, self._head_hash = seq, prev

    def _apply(self, change: Change) -> None:
        for session in change.closes:
            self._execute("DELETE FROM open_session WHERE session = ?", session)
        opens = change.opens
        if opens is not None:
            self._execute(
                "INSERT OR REPLACE INTO open_session VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                opens.session,
                opens.member,
                opens.badge,
                opens.roster,
                opens.energised_ms,
                opens.running_ms,
                opens.boot,
                opens.boot_ms,
                opens.slack_ms,
            )
        for word in sorted(change.latch):
            self._execute("INSERT OR IGNORE INTO latched VALUES (?)", word)
        for word in sorted(change.unlatch):
            self._execute("DELETE FROM latched WHERE word = ?", word)

    def checkpoint(self, session: str, *, energised_ms: int, running_ms: int, boot_ms: int) -> None:
        """Replace the counters of the open session, durably; nothing when it is not the one that is open."""
        with self._certain_or_closed("written"), self._transaction():
            self._execute(
                "UPDATE open_session SET energised_ms = ?, running_ms = ?, boot_ms = ? WHERE session = ?",
                energised_ms,
                running_ms,
                boot_ms,
                session,
            )

    def acknowledge(self, seq: int) -> None:
        """Move the mark to `seq`, forwards or, when a collector was restored from a copy, backwards."""
        seq = max(seq, self.anchor[0])
        with self._certain_or_closed("written"), self._transaction():
            self._execute("UPDATE meta SET value = ? WHERE key = 'mark'", seq)
        self.mark = seq

    def trim(self, *, before_ms: int, most: int) -> int:
        """Forget acknowledged entries from before `before_ms` (Unix) and, oldest first, above `most` kept.

        Returns how many went. What is not acknowledged never goes.
        """
        with self._certain_or_closed("trimmed"):
            floor = self.anchor[0]
            old = self._rows(
                "SELECT max(seq) FROM entry WHERE seq <= ? AND seq <= coalesce("
                "(SELECT min(seq) - 1 FROM entry WHERE at_ms IS NULL OR at_ms >= ?), ?)",
                self.mark,
                before_ms,
                self.mark,
            )[0][0]
            last = max(old or 0, min(self.mark, self.head - most))
            if last <= floor:
                return 0
            anchor = bytes(self._rows("SELECT hash FROM entry WHERE seq = ?", last)[0][0])
            with self._transaction():
                self._execute("UPDATE meta SET value = ? WHERE key = 'anchor_seq'", last)
                self._execute("UPDATE meta SET value = ? WHERE key = 'anchor_hash'", anchor)
                self._execute("DELETE FROM entry WHERE seq <= ?", last)
            self.anchor = (last, anchor)
            return last - floor

    # --- the reserve --------------------------------------------------------------------------------------------------

    def keep_reserve(self) -> None:
        """Make sure that the reserve file exists. Raises JournalError when the disk has no room for it."""
        if self._reserve.exists():
            return
        fresh = self._reserve.with_suffix(".new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
                os.fsync(fd)
            finally:
                os.close(fd)
            fresh.replace(self._reserve)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise JournalError(
                f"{self._reserve}: no room for the reserve of {RESERVE_BYTES} bytes ({error})"
            ) from error

    def free_reserve(self) -> bool:
        """Give the reserve's room back for an entry that must be written; say whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    # --- read ---------------------------------------------------------------------------------------------------------

    @property
    def floor(self) -> int:
        """Return the number of the oldest entry kept, or of the next one when none is."""
        return self.anchor[0] + 1

    @property
    def unacknowledged(self) -> int:
        """Return how many entries no collector has confirmed."""
        return self.head - max(self.mark, self.anchor[0])

    def open_session(self) -> OpenSession | None:
        """Return the checkpoint of a session that was not ended."""
        rows = self._rows(
            "SELECT session, member, badge, roster, energised_ms, running_ms, boot, boot_ms, slack_ms FROM open_session"
        )
        return OpenSession(*rows[0]) if rows else None

    def latched(self) -> frozenset[str]:
        """Return the causes and flags that outlive a restart."""
        return frozenset(str(row[0]) for row in self._rows("SELECT word FROM latched"))

    def last_time_ms(self) -> int | None:
        """Return the latest wall time on record (Unix milliseconds): no later moment can be before it."""
        found = self._rows("SELECT max(at_ms) FROM entry")[0][0]
        return None if found is None else int(found)

    def _holds(self, drafts: Sequence[Draft]) -> bool:
        # Only the last few entries can be those of a retry: the writer waits for each one.
        last = self._rows("SELECT uid FROM entry ORDER BY seq DESC LIMIT ?", len(drafts))
        return [row[0] for row in reversed(last)] == [draft.uid for draft in drafts]

    # --- the connection -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _certain_or_closed(self, what: str) -> Iterator[None]:
        """Let a failure close the file: after a failed fsync only what a fresh look finds can be trusted."""
        if self._db is None:
            self.open()
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(f"{self.path}: the journal cannot be {what} ({error})") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def _execute(self, sql: str, *values: object) -> None:
        self._db.execute(sql, values).fetchall()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._db.execute(sql, values).fetchall()
        return rows


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry as it is published. `body` are the stored bytes."""

    seq: int
    type: str
    body: bytes


class Reader:
    """A read-only view of a journal, for another thread or process."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False, timeout=5)
            meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        except sqlite3.Error as error:
            raise JournalError(f"{path}: the journal cannot be read ({error})") from error
        self.id = str(meta["journal"])
        self.topics = wire.GateTopics(str(meta["site"]), str(meta["gate"]))

    def after(self, seq: int, *, most: int) -> list[StoredEntry]:
        """Return the entries after `seq`, in order, at most `most`."""
        rows = self._db.execute("SELECT seq, type, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", (seq, most))
        return [StoredEntry(int(n), str(kind), bytes(body)) for n, kind, body in rows.fetchall()]

    def hash_at(self, seq: int) -> bytes | None:
        """Return the hash of an entry, of the anchor, or of nothing (zero); None when it is not known here."""
        if seq == 0:
            return ZERO_HASH
        row = self._db.execute("SELECT hash FROM entry WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            anchor_seq, anchor = self._anchor()
            return anchor if anchor_seq == seq else None
        return bytes(row[0])

    def bounds(self) -> tuple[int, int, int]:
        """Return floor, head and mark."""
        floor = self._anchor()[0] + 1
        head = self._db.execute("SELECT max(seq) FROM entry").fetchone()[0]
        mark = self._db.execute("SELECT value FROM meta WHERE key = 'mark'").fetchone()[0]
        return floor, floor - 1 if head is None else int(head), int(mark)

    def first_break(self) -> int | None:
        """Check the chain from the anchor; return the number of the first entry that does not follow, or None."""
        seq, prev = self._anchor()
        return first_break(self._links(seq), after=seq, prev=prev)

    def _links(self, after: int) -> Iterable[tuple[int, bytes, bytes]]:
        for seq, body in self._db.execute("SELECT seq, body FROM entry WHERE seq > ? ORDER BY seq", (after,)):
            yield int(seq), from_text(wire.decode_entry(bytes(body)).prev), bytes(body)

    def _anchor(self) -> tuple[int, bytes]:
        meta = dict(self._db.execute("SELECT key, value FROM meta WHERE key LIKE 'anchor%'").fetchall())
        return int(meta["anchor_seq"]), bytes(meta["anchor_hash"])

    def close(self) -> None:
        """Close the view."""
        self._db.close()

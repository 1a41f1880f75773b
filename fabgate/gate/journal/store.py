"""The journal's file and connection, the SQL of entries and changes, and recovery when the files were changed.

``writer`` decides when something is written.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.journal.changes import Change, Draft, JournalState, OpenSession
from fabgate.gate.journal.files import (
    JournalFiles,
    Stamp,
    create_database,
    refuse_link,
    rewrite_and_sync,
    same_file,
    set_aside_foreign_wal,
)
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import DAMAGE, SMALL_CACHE, JournalReader, as_bytes, damaged, reading
from fabgate.seal import ZERO_HASH, entry_hash, first_prev, to_text

log = logging.getLogger(__name__)

#: Of the tables and of the texts in `meta`. Commits before the release of 0.1.0 wrote 1.
SCHEMA_VERSION: Final = 2
Connect = Callable[[str], Any]
#: The bytes of a database header that say WAL mode: 2 for writing and reading (sqlite.org/fileformat2.html, 1.3.3).
_FILE_VERSIONS: Final = slice(18, 20)

#: How many entries are copied or removed in one step: a tap that comes meanwhile waits for one step only.
SLICE: Final = 250
_INSERT: Final = {
    "entry": "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
    "entry_new": "INSERT INTO entry_new VALUES (?, ?, ?, ?, ?, ?)",
}
#: SQLite does not fold automatically: it would do so within a commit.
NO_FOLD: Final = "PRAGMA wal_autocheckpoint=0"

ENTRIES: Final = """
CREATE TABLE {} (
    seq INTEGER PRIMARY KEY, uid TEXT NOT NULL, type TEXT NOT NULL, at_ms INTEGER, hash BLOB NOT NULL, body BLOB NOT NULL
);
"""
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE open_session (
    one INTEGER PRIMARY KEY CHECK (one = 1), session TEXT NOT NULL, member TEXT NOT NULL, badge TEXT NOT NULL,
    roster INTEGER NOT NULL, energised_ms INTEGER NOT NULL, running_ms INTEGER NOT NULL,
    boot TEXT NOT NULL, boot_ms INTEGER NOT NULL, slack_ms INTEGER NOT NULL
);
CREATE TABLE latched (word TEXT PRIMARY KEY) WITHOUT ROWID;
"""


def open_connection(path: str) -> sqlite3.Connection:
    """Open a database without implicit transactions, for the journal's own thread."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


class JournalStore:
    """One journal's file. Everything that touches the disk is injected, so that tests can make it fail."""

    def __init__(
        self,
        path: Path,
        topics: wire.GateTopics,
        *,
        connect: Connect = open_connection,
        sync_directory: Callable[[Path], None] = fsync_directory,
        create: Callable[[Path, bytes], None] = create_database,
        write_back: Callable[[Path], None] = rewrite_and_sync,
        reserve: Path | None = None,
    ) -> None:
        self.path = path
        self.topics = topics
        self.id = ""
        #: Whether ``open`` made a new file.
        self.is_new = False
        self.head = 0
        self.mark = 0
        self.anchor = (0, b"")
        #: The entries from 2 up to this number are copies of entries that were confirmed in the earlier journal.
        self._copied = 0
        self._head_hash = b""
        #: How many entries ``renew_some`` copies at a time.
        self.slice = SLICE
        self._has_leftovers = False
        self._files = JournalFiles(path)
        #: The open session, the latched causes and the lock, and the changes that are not added to them yet. A file
        #: that replaced ours must contain them too.
        self._base_state = JournalState()
        self._changes: list[Change] = []
        #: The state that a file which replaced ours does not contain yet.
        self._to_restore: JournalState | None = None
        self._on_reopened: Callable[[], None] = lambda: None
        self._connect = connect
        self._sync_directory = sync_directory
        self._create = create
        self._write_back = write_back
        self._db: Any = None
        #: True until the first append after opening: the file may already hold the drafts that are appended next.
        self._is_reopened = True
        #: How many transactions were committed since the WAL was folded.
        self._unfolded = 0
        self._reserve = reserve or path.with_name("reserve")

    # --- open and close -----------------------------------------------------------------------------------------------

    def when_reopened(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the journal's file or its content was replaced: readers must open it again."""
        self._on_reopened = callback

    def open(self) -> None:
        """Open or make the file. Raises JournalError when it cannot be read or written, or is another gate's."""
        before, state = self._files.main, self._state
        try:
            refuse_link(self.path)
            if not self.path.exists() or self.path.stat().st_size == 0:
                self._create(self.path, self._image())
                self.is_new = True
            elif foreign := set_aside_foreign_wal(self.path):
                log.error("%s: its -wal belonged to another file, and is kept as %s", self.path, foreign.name)
            self._write_back(self.path.with_name(f"{self.path.name}-wal"))
            self._db = self._connect(str(self.path))
            self._execute("PRAGMA journal_mode=WAL")
            self._execute("PRAGMA synchronous=FULL")
            self._execute(NO_FOLD)
            self._execute(SMALL_CACHE)
            self._sync_directory(self.path.parent)
            self._load()
            self._files.remember()
            if before is not None and not same_file(before, self._files.main):
                self._to_restore = self._to_restore or state
            self._restore()
        except JournalError:
            self.close()
            raise
        except DAMAGE as error:
            self.close()
            raise damaged(self.path, error) from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            advice = "Check that the disk is not full and not read-only"
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                advice = "The file is damaged: move it away to start a new one"
            raise JournalError(
                f"{self.path}: the journal cannot be opened ({error}); no session can start until it can. {advice}"
            ) from error

    def _image(self) -> bytes:
        """Return the bytes of an empty journal with a new id."""
        journal = uuid7().replace("-", "")
        with contextlib.closing(sqlite3.connect(":memory:")) as memory:
            memory.executescript(ENTRIES.format("entry") + _SCHEMA)
            meta = {
                "schema": SCHEMA_VERSION,
                "journal": journal,
                "site": self.topics.site,
                "gate": self.topics.gate,
                "mark": 0,
                "anchor_seq": 0,
                "anchor_hash": first_prev(journal),
            }
            memory.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            memory.commit()
            image = bytearray(memory.serialize())
        image[_FILE_VERSIONS] = b"\x02\x02"
        return bytes(image)

    def _load(self) -> None:
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
            raise KeyError("meta")
        meta = dict(self._rows("SELECT key, value FROM meta"))
        if meta["schema"] != SCHEMA_VERSION:
            raise JournalError(
                f"{self.path}: found a journal of schema {meta['schema']}, wanted {SCHEMA_VERSION}: another version of"
                " fabgate wrote it. Install that version until the collector has all its entries; then move journal.db and"
                " roster.db away, and lock the machine again if it was locked (docs/reference.md)"
            )
        account = f"{meta['site']}/{meta['gate']}"
        if account != self.topics.account:
            raise JournalError(
                f"{self.path}: the journal belongs to {account}, the configuration says {self.topics.account}."
                " Correct the name, or run 'fabgate rename' to start a new journal"
            )
        self.id = str(meta["journal"])
        self.mark = int(meta["mark"])
        self.anchor = (int(meta["anchor_seq"]), as_bytes(meta["anchor_hash"]))
        self._copied = int(meta.get("copied", 0))
        last = self._rows("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")
        self._is_reopened = True
        self.head, self._head_hash = (int(last[0][0]), as_bytes(last[0][1])) if last else self.anchor
        self._state = JournalState(self.open_session(), self.latched(), self.lock())
        self._has_leftovers = bool(self._rows("SELECT 1 FROM sqlite_master WHERE name IN ('entry_new', 'entry_old')"))

    def _restore(self) -> None:
        """Write the current state into a file that replaced ours and has no state, or an older one."""
        state = self._to_restore
        if state is None:
            return
        with self._transaction():
            self._execute("DELETE FROM open_session")
            self._execute("DELETE FROM latched")
            self._execute("DELETE FROM meta WHERE key = 'lock'")
            self._apply(Change(opens=state.session, latch=state.latched, lock=state.lock))
        if not self._files.accept_transaction():
            raise JournalError(self._files_changed())
        self._to_restore, self._state = None, state
        self._on_reopened()

    @property
    def _state(self) -> JournalState:
        for change in self._changes:
            self._base_state = self._base_state.after(change)
        self._changes.clear()
        return self._base_state

    @_state.setter
    def _state(self, state: JournalState) -> None:
        self._changes.clear()
        self._base_state = state

    def close(self) -> None:
        """Close the file. Never raises."""
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(Exception):
                db.close()

    # --- entries and changes, in SQL ---------------------------------------------------------------------------------------

    def _put_draft(self, journal: str, seq: int, prev: bytes, draft: Draft, *, table: str = "entry") -> bytes:
        body = wire.encode_entry(
            topics=self.topics,
            journal=journal,
            seq=seq,
            prev=to_text(prev),
            uid=draft.uid,
            event_type=draft.type,
            data=draft.data,
            time=draft.time,
        )
        at_ms = None if draft.time is None else round(draft.time.timestamp() * 1000)
        return self._put(seq, draft.uid, draft.type, at_ms, body, table=table)

    def _put(self, seq: int, uid: str, kind: str, at_ms: int | None, body: bytes, *, table: str = "entry") -> bytes:
        """Insert one entry; return its hash, which the next entry carries."""
        digest = entry_hash(body)
        self._execute(_INSERT[table], seq, uid, kind, at_ms, digest, body)
        return digest

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
        if change.lock is not None:
            self._execute("INSERT OR REPLACE INTO meta VALUES ('lock', ?)", change.lock)

    def open_session(self) -> OpenSession | None:
        """Return the checkpoint of a session that has not ended. Raises JournalError where the file is damaged."""
        fields = OpenSession.__struct_fields__
        with reading(self.path):
            rows = self._rows(f"SELECT {', '.join(fields)} FROM open_session")  # noqa: S608 - our own names
            return msgspec.convert(dict(zip(fields, rows[0], strict=True)), OpenSession) if rows else None

    def latched(self) -> frozenset[str]:
        """Return the causes and flags that outlive a restart. Raises JournalError where the file is damaged."""
        with reading(self.path):
            return frozenset(str(row[0]) for row in self._rows("SELECT word FROM latched"))

    def lock(self) -> str | None:
        """Return the machine's locks as ``Change.lock`` stored them. Raises JournalError where the file is damaged."""
        with reading(self.path):
            rows = self._rows("SELECT value FROM meta WHERE key = 'lock'")
            return str(rows[0][0]) if rows else None

    # --- the connection -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _certain_or_closed(self, what: str, *, folds: bool = False) -> Iterator[None]:
        """Close the file after a failure: after a failed fsync only what is read again from disk can be trusted.

        A write counts only if the files still have their names.
        """
        if self._db is not None and not self._files.are_unchanged():
            self._recover()
        if self._db is None:
            self.open()
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(f"{self.path}: the journal cannot be {what} ({error})") from error
        if not (self._files.accept_fold() if folds else self._files.accept_transaction()):
            self._is_reopened = True  # the file may already hold what a repeated write appends
            raise JournalError(self._files_changed())

    def _files_changed(self) -> str:
        return (
            f"{self.path}: the file or its -wal was moved, removed or replaced while the gate is running; new entries"
            " would be lost. Put it back within ten seconds, or a new journal begins"
        )

    def _recover(self) -> None:
        """Save what can be saved and close the connection, so that the named file can be opened.

        Raises JournalError while the file may still be put back, or cannot be saved yet. Returns with the connection
        open where the content is complete: another program's SQLite has only folded the WAL.
        """
        main, wal = self._files.stamps()
        try:
            if not same_file(main, self._files.main):
                self._abandon_main(wal)
            elif not same_file(wal, self._files.wal) and self._is_whole(self._db):
                self._save_into_main()
            elif same_file(wal, self._files.wal) and self._is_whole():
                log.warning("%s: another program wrote to the file; all entries are there", self.path)
                self._files.remember()
                self._is_reopened = True
                return
            else:
                aside = self._files.put_aside(self.id, self._sync_directory)
                self._close_for_recovery()
                raise JournalError(
                    f"{self.path}: another program wrote over the file or its -wal; both are kept as {aside.name}, and a"
                    " new journal begins"
                )
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"{self._files_changed()} ({error})") from error
        self._close_for_recovery()

    def _close_for_recovery(self) -> None:
        self.close()  # SQLite sees that the file was moved, and neither folds into it nor removes the side files
        self._to_restore = self._state

    def _save_into_main(self) -> None:
        """Fold the WAL, which was deleted or moved but is still open, into the main file."""
        if not self._fold_all():
            raise JournalError(f"{self._files_changed()} (it cannot be saved yet: another process reads the journal)")
        self._files.drop_wal()
        self._sync_directory(self.path.parent)
        log.warning("%s: the -wal was moved, removed or replaced; all entries were saved", self.path)

    def _abandon_main(self, wal: Stamp | None) -> None:
        """Give up a main file that was deleted or moved; the file that has its name now is opened instead."""
        if not self._files.has_waited():
            raise JournalError(self._files_changed())
        is_folded = False
        with contextlib.suppress(sqlite3.Error):
            is_folded = self._fold_all()  # the file that was moved away is then complete
        if same_file(wal, self._files.wal):
            # It belongs to the old file; SQLite would play it into this one.
            if is_folded:
                self._files.drop_wal()
            else:
                kept = self._files.put_wal_aside(self.id)
                log.error("%s: its -wal could not be folded into it and is kept as %s", self.path, kept.name)
        self._files.drop_index()
        self._sync_directory(self.path.parent)
        log.error("%s: the file was not put back; the file in its place is the journal now", self.path)

    def _fold_all(self) -> bool:
        """Fold the whole WAL and truncate it; return False where a reader prevents that for seconds."""
        blocked: int = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        return not blocked

    def _is_whole(self, db: Any = None) -> bool:
        """Return whether the files, read again under their names, contain a whole chain up to our last entry.

        With `db` they are read through that open connection, whose cache is dropped first.
        """
        try:
            if db is not None:
                self._execute("PRAGMA shrink_memory")
            with contextlib.closing(JournalReader(self.path, db)) as reader:
                return (
                    reader.id == self.id
                    and reader.is_sound()
                    and reader.first_break() is None
                    and reader.hash_at(self.head) == (self._head_hash if self.head else ZERO_HASH)
                )
        except (JournalError, sqlite3.Error):
            return False

    def _transaction(self) -> _Transaction:
        self._unfolded += 1
        return _Transaction(self._execute)

    def _execute(self, sql: str, *values: object) -> None:
        self._db.execute(sql, values).fetchall()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._db.execute(sql, values).fetchall()
        return rows

    def _meta(self, key: str) -> Any:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return rows[0][0] if rows else None

    def _set_meta(self, key: str, value: object) -> None:
        self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)


class _Transaction:
    """A transaction. A class instead of a generator, which is slower: a tap waits for each call."""

    __slots__ = ("_execute",)

    def __init__(self, execute: Callable[..., None]) -> None:
        self._execute = execute

    def __enter__(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._execute("COMMIT")
            return
        with contextlib.suppress(Exception):
            self._execute("ROLLBACK")

"""One file, its connection, and what becomes of both when something is wrong: the ground of the journal.

What an entry and a change are in SQL is here; when which of them is written is in ``writer``.
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
from fabgate.gate.journal.changes import Change, Draft, Holding, OpenSession
from fabgate.gate.journal.files import (
    JournalFiles,
    Stamp,
    part_strange_wal,
    plain_begin,
    plain_write_back,
    refuse_link,
    same_file,
)
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import DAMAGE, SMALL_CACHE, Reader, blob, damaged, readable
from fabgate.seal import ZERO_HASH, entry_hash, first_prev, to_text

log = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1
Connect = Callable[[str], Any]
#: Where a database says that it is in WAL mode: 2 to write and to read (sqlite.org/fileformat2.html, 1.3.3).
_FILE_VERSIONS: Final = slice(18, 20)

#: So many entries are copied at a time: a tap that comes meanwhile waits for no more of them.
SLICE: Final = 250
_INSERT: Final = {
    "entry": "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
    "entry_new": "INSERT INTO entry_new VALUES (?, ?, ?, ?, ?, ?)",
}
#: SQLite folds nothing by itself, neither within a commit nor unseen.
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


def plain_connect(path: str) -> sqlite3.Connection:
    """Open the standard way: no implicit transactions; used by whichever thread owns the journal."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


class JournalStore:
    """One journal's file. What touches the disk is injected, so that tests can put a failing one below it."""

    def __init__(
        self,
        path: Path,
        topics: wire.GateTopics,
        *,
        connect: Connect = plain_connect,
        sync_directory: Callable[[Path], None] = fsync_directory,
        begin: Callable[[Path, bytes], None] = plain_begin,
        write_back: Callable[[Path], None] = plain_write_back,
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
        #: Up to this number, and from 2 on, stand copies of what a collector had confirmed in the journal before.
        self._copied = 0
        self._head_hash = b""
        #: How many entries ``renew_some`` copies at a time.
        self.slice = SLICE
        self._has_leftovers = False
        self._files = JournalFiles(path)
        #: The open session, the latched words and the lock, and the changes of them that are not in there yet: what holds
        #: now, in whichever file it has to be written.
        self._held = Holding()
        self._changes: list[Change] = []
        #: What of that a file that took the place of ours does not say yet.
        self._to_carry: Holding | None = None
        #: Called when another file than before is written from now on, or other bytes: readers have to open it again.
        self.taken_over: Callable[[], None] = lambda: None
        self._connect = connect
        self._sync_directory = sync_directory
        self._begin = begin
        self._write_back = write_back
        self._db: Any = None
        #: Nothing was appended since the file was opened: what is asked for may be there already.
        self._reopened = True
        #: How many transactions were committed since the WAL was folded.
        self._unfolded = 0
        self._reserve = reserve or path.with_name("reserve")

    # --- open and close -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open or make the file. Raises JournalError when it cannot be written, read or is another gate's."""
        before, holding = self._files.main, self._holding
        try:
            refuse_link(self.path)
            if not self.path.exists() or self.path.stat().st_size == 0:
                self._begin(self.path, self._image())
                self.is_new = True
            elif strange := part_strange_wal(self.path):
                log.error("%s: its -wal was of another file, and is kept as %s", self.path, strange.name)
            self._write_back(self.path.with_name(f"{self.path.name}-wal"))
            self._db = self._connect(str(self.path))
            self._execute("PRAGMA journal_mode=WAL")
            self._execute("PRAGMA synchronous=FULL")
            self._execute(NO_FOLD)
            self._execute(SMALL_CACHE)
            self._sync_directory(self.path.parent)
            self._load()
            self._files.learn()
            if before is not None and not same_file(before, self._files.main):
                self._to_carry = self._to_carry or holding
            self._carry()
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
                advice = "The file is damaged: put it aside to start a new one"
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
        self.anchor = (int(meta["anchor_seq"]), blob(meta["anchor_hash"]))
        self._copied = int(meta.get("copied", 0))
        last = self._rows("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")
        self._reopened = True
        self.head, self._head_hash = (int(last[0][0]), blob(last[0][1])) if last else self.anchor
        self._holding = Holding(self.open_session(), self.latched(), self.lock())
        self._has_leftovers = bool(self._rows("SELECT 1 FROM sqlite_master WHERE name IN ('entry_new', 'entry_old')"))

    def _carry(self) -> None:
        """Write what holds now into the file that took the place of ours: it may say nothing, or what held once."""
        carried = self._to_carry
        if carried is None:
            return
        with self._transaction():
            self._execute("DELETE FROM open_session")
            self._execute("DELETE FROM latched")
            self._execute("DELETE FROM meta WHERE key = 'lock'")
            self._apply(Change(opens=carried.session, latch=carried.latched, lock=carried.lock))
        if not self._files.took_transaction():
            raise JournalError(self._not_ours())
        self._to_carry, self._holding = None, carried
        self.taken_over()

    @property
    def _holding(self) -> Holding:
        for change in self._changes:
            self._held = self._held.after(change)
        self._changes.clear()
        return self._held

    @_holding.setter
    def _holding(self, holding: Holding) -> None:
        self._changes.clear()
        self._held = holding

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
        """Insert one entry; return its hash, which the next one carries."""
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
        """Return the checkpoint of a session that was not ended. Raises JournalError where the file is damaged."""
        fields = OpenSession.__struct_fields__
        with readable(self.path):
            rows = self._rows(f"SELECT {', '.join(fields)} FROM open_session")  # noqa: S608 - our own names
            return msgspec.convert(dict(zip(fields, rows[0], strict=True)), OpenSession) if rows else None

    def latched(self) -> frozenset[str]:
        """Return the causes and flags that outlive a restart. Raises JournalError where the file is damaged."""
        with readable(self.path):
            return frozenset(str(row[0]) for row in self._rows("SELECT word FROM latched"))

    def lock(self) -> str | None:
        """Return what is known of the machine's lock, as ``Change.lock`` put it. Raises JournalError at damage."""
        with readable(self.path):
            rows = self._rows("SELECT value FROM meta WHERE key = 'lock'")
            return str(rows[0][0]) if rows else None

    # --- the connection -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _certain_or_closed(self, what: str, *, folds: bool = False) -> Iterator[None]:
        """Let a failure close the file: after a failed fsync only what a fresh look finds can be trusted.

        What was written counts once the named files have it.
        """
        if self._db is not None and not self._files.are_ours():
            self._find_a_way_back()
        if self._db is None:
            self.open()
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise JournalError(f"{self.path}: the journal cannot be {what} ({error})") from error
        if not (self._files.took_fold() if folds else self._files.took_transaction()):
            self._reopened = True  # what is written again may be there
            raise JournalError(self._not_ours())

    def _not_ours(self) -> str:
        return (
            f"{self.path}: the file or its -wal was moved, removed or replaced while the gate runs; what is written now"
            " would be lost. Put it back within ten seconds, or a new journal begins"
        )

    def _find_a_way_back(self) -> None:
        """Close what is open, so that the named file can be opened and holds what can be saved.

        Raises JournalError as long as our file may be put back, or cannot be saved yet. Returns with the connection
        open where the bytes are ours after all: another program's SQLite folded them.
        """
        main, wal = self._files.look()
        try:
            if not same_file(main, self._files.main):
                self._give_up(wal)
            elif not same_file(wal, self._files.wal) and (main == self._files.main or self._is_whole(self._db)):
                self._save_into_main()
            elif same_file(wal, self._files.wal) and self._is_whole():
                log.warning("%s: another program wrote to the file; all entries are there", self.path)
                self._files.learn()
                self._reopened = True
                return
            else:
                aside = self._files.put_aside(self.id, self._sync_directory)
                self._let_go()
                raise JournalError(
                    f"{self.path}: another program wrote over the file or its -wal; both are kept as {aside.name}, and a"
                    " new journal begins"
                )
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"{self._not_ours()} ({error})") from error
        self._let_go()

    def _let_go(self) -> None:
        self.close()  # SQLite sees that the file moved, and neither folds into it nor removes what stands beside the name
        self._to_carry = self._holding

    def _save_into_main(self) -> None:
        """Bring what the WAL without a name holds into the main file: it is open, and can be read."""
        if not self._fold_all():
            raise JournalError(f"{self._not_ours()} (it cannot be saved yet: somebody reads the journal)")
        self._files.drop_wal()
        self._sync_directory(self.path.parent)
        log.warning("%s: the -wal was moved, removed or replaced; all entries were saved", self.path)

    def _give_up(self, wal: Stamp | None) -> None:
        """Let go of a main file without its name; what stands in its place is opened as it is found."""
        if not self._files.stay_away():
            raise JournalError(self._not_ours())
        is_folded = False
        with contextlib.suppress(sqlite3.Error):
            is_folded = self._fold_all()  # the file that was moved away is then complete
        if same_file(wal, self._files.wal):
            # It is the old file's; SQLite would play it into this one.
            if is_folded:
                self._files.drop_wal()
            else:
                kept = self._files.put_wal_aside(self.id)
                log.error("%s: its -wal could not be folded into it and is kept as %s", self.path, kept.name)
        self._files.drop_index()
        self._sync_directory(self.path.parent)
        log.error("%s: the file stayed away; what stands there now is the journal", self.path)

    def _fold_all(self) -> bool:
        """Fold the whole WAL and begin it again from its start, unless a reader stays in the way for seconds."""
        blocked: int = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        return not blocked

    def _is_whole(self, db: Any = None) -> bool:
        """Whether a fresh look at the named files, or by the open connection `db`, finds a whole chain to our last entry.

        What the connection still has in memory is read from the files again.
        """
        try:
            if db is not None:
                self._execute("PRAGMA shrink_memory")
            with contextlib.closing(Reader(self.path, db)) as reader:
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
        found = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return found[0][0] if found else None

    def _set_meta(self, key: str, value: object) -> None:
        self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)


class _Transaction:
    """All that is executed within it is on disk at its end, or nothing is. A class: a tap waits for its every call."""

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

"""The tables of a journal's file, and the SQL that writes entries and changes to them and reads them back.

``recovery`` opens the file, and ``writer`` decides when something is written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.journal.changes import Change, Draft, JournalState, OpenSession
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import as_bytes, reading
from fabgate.seal import entry_hash, first_prev, to_text

#: Of the tables and of the texts in `meta`. Commits before the release of 0.1.0 wrote 1.
SCHEMA_VERSION: Final = 2
#: The bytes of a database header that say WAL mode: 2 for writing and reading (sqlite.org/fileformat2.html, 1.3.3).
_FILE_VERSIONS: Final = slice(18, 20)

#: How many entries are copied or removed in one step: a tap that comes meanwhile waits for one step only.
SLICE: Final = 250
_INSERT: Final = {
    "entry": "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
    "entry_new": "INSERT INTO entry_new VALUES (?, ?, ?, ?, ?, ?)",
}

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


def empty_journal(topics: wire.GateTopics) -> bytes:
    """Return the bytes of an empty journal with a new id."""
    journal = uuid7().replace("-", "")
    with contextlib.closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(ENTRIES.format("entry") + _SCHEMA)
        meta = {
            "schema": SCHEMA_VERSION,
            "journal": journal,
            "site": topics.site,
            "gate": topics.gate,
            "mark": 0,
            "anchor_seq": 0,
            "anchor_hash": first_prev(journal),
        }
        memory.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        memory.commit()
        image = bytearray(memory.serialize())
    image[_FILE_VERSIONS] = b"\x02\x02"
    return bytes(image)


class JournalTables:
    """The tables of one journal, through the connection that the journal's thread has open."""

    def __init__(self, path: Path, topics: wire.GateTopics) -> None:
        self.path = path
        self.topics = topics
        self.id = ""
        self.head = 0
        self.mark = 0
        self.anchor = (0, b"")
        #: The entries from 2 up to this number are copies of entries that were confirmed in the earlier journal.
        self._copied = 0
        self._head_hash = b""
        #: How many entries are copied or removed in one step.
        self.slice = SLICE
        self._has_leftovers = False
        self._db: Any = None
        #: How many transactions were committed since the WAL was folded.
        self._unfolded = 0

    def _load(self) -> None:
        """Read what the file says about itself. Raises JournalError where it is another gate's or another version's."""
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
        self.head, self._head_hash = (int(last[0][0]), as_bytes(last[0][1])) if last else self.anchor
        self._has_leftovers = bool(self._rows("SELECT 1 FROM sqlite_master WHERE name IN ('entry_new', 'entry_old')"))

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

    def _write_state(self, state: JournalState) -> None:
        """Replace the whole state, in one transaction."""
        with self._transaction():
            self._execute("DELETE FROM open_session")
            self._execute("DELETE FROM latched")
            self._execute("DELETE FROM meta WHERE key = 'lock'")
            self._apply(Change(opens=state.session, latch=state.latched, lock=state.lock))

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

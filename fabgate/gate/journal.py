"""What happened at this machine, in order, durable, and not yet forgotten by anybody?

An append-only SQLite file. It is the book and the outbox at once: each entry's bytes are made here once, stored,
chained, and later published as they are. Nothing is ever changed; acknowledged entries are trimmed from the old end,
leaving an anchor from which the chain can still be checked.

Why it is written as it is (measured, see docs/decisions/0003):

* WAL with ``synchronous=FULL``: with NORMAL a power cut loses acknowledged rows.
* A new file is made whole beside its name and renamed: a cut in the middle of SQLite's own first page would leave a file
  that is no database. The directory is fsynced: otherwise a cut may bring the empty directory back.
* A COMMIT that raised may be durable all the same. So the caller makes the uids, and ``append`` may be called again
  with the same drafts after any error: it re-opens the file, looks, and writes only what is not there.
* What a fresh look finds may be in memory only: a commit whose fsync failed, or whose process was killed before it. So
  the WAL that is there is written and synced again before it is believed.
* On a full disk even DELETE fails: a reserve file is kept, to be freed for the end of a running session.
* What the WAL holds is brought into the file by ``fold``, when nobody waits: left to SQLite it happens within a commit,
  two more syncs of it, and one tap in eighty stood behind them. So it is not left to SQLite at all.
* A file without a name can be written and is gone with the process. So a commit counts only once both files have been
  looked at again (``journal_files``).

One thread writes. Readers open the file read-only (``journal_reader``); WAL lets them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.ids import uuid7
from fabgate.gate.journal_files import JournalFiles, Stamp, plain_begin, plain_write_back, same_file
from fabgate.gate.journal_reader import DAMAGE, SMALL_CACHE, Reader, blob, damaged, readable
from fabgate.seal import ZERO_HASH, entry_hash, first_prev, to_text

log = logging.getLogger(__name__)

SCHEMA_VERSION: Final = 1
RESERVE_BYTES: Final = 1024 * 1024
#: After so many transactions (two to four pages each) the WAL is worth folding.
FOLD_AFTER: Final = 40
#: After so many it is folded as soon as nothing else is to be written: for a gate on which nothing starts for long.
FOLD_SOON: Final = 160
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

_ENTRIES: Final = """
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


class Draft(msgspec.Struct, frozen=True):
    """A fact on its way into the journal. `uid` is made by the caller, so that a retry is the same fact."""

    uid: str
    type: str
    data: wire.Data
    time: datetime | None


class OpenSession(msgspec.Struct, frozen=True):
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


class Change(msgspec.Struct, frozen=True):
    """What one transaction does beside appending. A session is opened, or the one named is closed."""

    opens: OpenSession | None = None
    closes: frozenset[str] = frozenset()
    latch: frozenset[str] = frozenset()
    unlatch: frozenset[str] = frozenset()
    lock: str | None = None


NO_CHANGE: Final = Change()


class _Holding(msgspec.Struct, frozen=True):
    """What the transactions so far add up to, beside the entries."""

    session: OpenSession | None = None
    latched: frozenset[str] = frozenset()
    lock: str | None = None

    def after(self, change: Change) -> _Holding:
        """Return it after a change, as ``Journal._apply`` writes it."""
        ended = self.session is not None and self.session.session in change.closes
        session = change.opens or (None if ended else self.session)
        lock = self.lock if change.lock is None else change.lock
        return _Holding(session, (self.latched | change.latch) - change.unlatch, lock)

    def at(self, session: str, energised_ms: int, running_ms: int, boot_ms: int) -> _Holding:
        """Return it after a checkpoint of a session; the same when that one is not open."""
        if self.session is None or self.session.session != session:
            return self
        counted = msgspec.structs.replace(
            self.session, energised_ms=energised_ms, running_ms=running_ms, boot_ms=boot_ms
        )
        return msgspec.structs.replace(self, session=counted)


def plain_connect(path: str) -> sqlite3.Connection:
    """Open the standard way: no implicit transactions; used by whichever thread owns the journal."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


class Journal:
    """One gate's journal. What touches the disk is injected, so that tests can put a failing one below it."""

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
        #: The open session, the latched words and the lock: what holds now, in whichever file it has to be written.
        self._holding = _Holding()
        #: What of that a file that took the place of ours does not say yet.
        self._to_carry: _Holding | None = None
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
            if not self.path.exists() or self.path.stat().st_size == 0:
                self._begin(self.path, self._image())
                self.is_new = True
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
            raise JournalError(
                f"{self.path}: the journal cannot be opened ({error}); no session can start until it can."
                " Check that the disk is not full and not read-only"
            ) from error

    def _image(self) -> bytes:
        """Return the bytes of an empty journal with a new id."""
        journal = uuid7().replace("-", "")
        with contextlib.closing(sqlite3.connect(":memory:")) as memory:
            memory.executescript(_ENTRIES.format("entry") + _SCHEMA)
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
        self._holding = _Holding(self.open_session(), self.latched(), self.lock())
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
            if not (self._reopened and drafts and self._holds(drafts)):
                self._write(drafts, change)
            self._reopened = False
        return self.head

    def _write(self, drafts: Sequence[Draft], change: Change) -> None:
        seq, prev = self.head, self._head_hash
        with self._transaction():
            for draft in drafts:
                seq += 1
                prev = self._put_draft(self.id, seq, prev, draft)
            self._apply(change)
        self.head, self._head_hash = seq, prev
        if change != NO_CHANGE:
            self._holding = self._holding.after(change)

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
        self._holding = self._holding.at(session, energised_ms, running_ms, boot_ms)

    def acknowledge(self, seq: int) -> None:
        """Move the mark to `seq`, forwards or, when a collector was restored from a copy, backwards.

        It stays between the anchor and the head: what was not written yet is never acknowledged.
        """
        with self._certain_or_closed("written"):
            seq = min(max(seq, self.anchor[0]), self.head)  # known for certain only once the file is open again
            with self._transaction():
                self._execute("UPDATE meta SET value = ? WHERE key = 'mark'", seq)
            self.mark = seq

    def trim(self, *, before_ms: int, most: int) -> int:
        """Forget acknowledged entries from before `before_ms` (Unix) and, oldest first, above `most` kept.

        Returns how many went. What is not acknowledged never goes. An entry without a time is as old as the next one
        that has one, for most gates start before their clock is set.
        """
        with self._certain_or_closed("trimmed"):
            if self._meta("renewal") is not None:
                return 0  # the copies are counted by what is there
            # Asked with every mark, so from the old end: while nothing there is old, the first row ends the look.
            recent = self._rows("SELECT seq FROM entry WHERE at_ms >= ? ORDER BY seq LIMIT 1", before_ms)
            upto = min(self.mark, recent[0][0] - 1) if recent else self.mark
            old = self._rows("SELECT max(seq) FROM entry WHERE seq <= ? AND at_ms < ?", upto, before_ms)[0][0]
            last = max(old or 0, min(self.mark, self.head - most))
            return self._forget(last)

    def _forget(self, last: int) -> int:
        """Forget the entries up to `last`, which becomes the anchor; return how many went."""
        floor = self.anchor[0]
        if last <= floor:
            return 0
        found = self._rows("SELECT hash FROM entry WHERE seq = ?", last)
        with readable(self.path):
            anchor = blob(found[0][0])
        with self._transaction():
            self._execute("UPDATE meta SET value = ? WHERE key = 'anchor_seq'", last)
            self._execute("UPDATE meta SET value = ? WHERE key = 'anchor_hash'", anchor)
            self._execute("DELETE FROM entry WHERE seq <= ?", last)
        self.anchor = (last, anchor)
        return last - floor

    def keep_newest(self, most: int) -> int:
        """Forget the oldest entries above `most`, whether a collector confirmed them or not; return how many went.

        For a gate without a collector. At most `SLICE` go at a time: whoever waits for the disk waits for no more. The
        anchor says from where on the chain is whole.
        """
        with self._certain_or_closed("trimmed"):
            return self._forget(min(self.head - most, self.anchor[0] + self.slice))

    @property
    def kept(self) -> int:
        """Return how many entries are kept."""
        return self.head - self.anchor[0]

    def fold(self, *, at_least: int = FOLD_AFTER) -> None:
        """Bring what the WAL holds into the file where it is worth it. To be called when nobody waits for the disk.

        It is after so many transactions.

        Raises JournalError when the file cannot be written; what was confirmed stays in the WAL.
        """
        if self._unfolded < at_least:
            return
        with self._certain_or_closed("folded", folds=True):
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")  # a reader in its way leaves the rest for the next time
            self._unfolded = 0

    def fold_all(self) -> bool:
        """Bring the whole WAL into the file; say whether no reader was in the way. For a file that is to be moved.

        Raises JournalError when the file cannot be written.
        """
        with self._certain_or_closed("folded", folds=True):
            return self._fold_all()

    @property
    def has_much_to_fold(self) -> bool:
        """Whether the WAL should be folded although nobody has used the machine."""
        return self._unfolded >= FOLD_SOON

    def look(self) -> None:
        """See whether both files are still ours. Raises JournalError where they are not, until there is a way back."""
        if self._db is None or not self._files.are_ours():
            with self._certain_or_closed("read"):
                pass

    def renew(self, journal: str, first: Draft) -> int:
        """Become another journal at once; return the new head. See ``renew_some``."""
        while not self.renew_some(journal, first):
            pass
        return self.head

    def renew_some(self, journal: str, first: Draft) -> bool:
        """Go one step towards being another journal; say whether it is that now: `first`, then a copy of each entry kept.

        A copy keeps uid, type, time and data, and names its first original. For a journal whose past the collector
        knows otherwise (a restored image): nothing may be lost, and no number used twice.

        The copies are made beside the entries, `SLICE` at a time, and take their place in the last step. Between two
        steps the journal is written as ever; what comes meanwhile is copied too. After a kill the steps go on where
        they stopped when they are asked for under the same name, and begin again under another.

        Copies of what was confirmed before are kept like the others until the new journal is confirmed that far: a
        collector restored from a copy is filled from them, and entry 1, which tells it of the fork, stands before
        them. But they do not count as ``unacknowledged``, or a fork would block the machine until they arrived again.
        So for that time the file may hold twice as many entries as are kept.
        """
        with self._certain_or_closed("renewed"):
            if self.id == journal:
                return True  # an earlier try that raised was durable
            if self._meta("renewal") != journal:
                if not self._remove_some():
                    self._begin_renewal(journal, first)
                return False
            at = self._meta("renewal_at")
            page = "SELECT seq, uid, type, at_ms, hash, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
            kept = self._rows(page, at, self.slice)
            head, prev = self._rows("SELECT seq, hash FROM entry_new ORDER BY seq DESC LIMIT 1")[0]
            is_last = len(kept) < self.slice
            anchor = first_prev(journal)
            with self._transaction():
                for seq, uid, kind, at_ms, old_hash, body in kept:
                    head += 1
                    with readable(self.path):
                        copy = wire.copy_entry(
                            wire.decode_entry(blob(body)),
                            topics=self.topics,
                            journal=journal,
                            seq=head,
                            prev=to_text(prev),
                            copyof=f"{self.id}/{seq}/{to_text(blob(old_hash))}",
                        )
                    prev = self._put(head, uid, kind, at_ms, copy, table="entry_new")
                if kept:
                    self._set_meta("renewal_at", kept[-1][0])
                if is_last:
                    copied = self._put_in_place(journal, anchor)
            if is_last:
                self._copied = copied
                self.id, self.mark, self.anchor = journal, 0, (0, anchor)
                self.head, self._head_hash = head, prev
            return is_last

    def _begin_renewal(self, journal: str, first: Draft) -> None:
        with self._transaction():
            self._execute(_ENTRIES.format("entry_new"))
            self._put_draft(journal, 1, first_prev(journal), first, table="entry_new")
            self._set_meta("renewal", journal)
            self._set_meta("renewal_at", 0)
            self._has_leftovers = True

    def _put_in_place(self, journal: str, anchor: bytes) -> int:
        """Let the copies be the entries; return up to which number they are of what was confirmed, 0 for none."""
        upto = max(self.mark, self._copied)
        confirmed = self._rows("SELECT count(*) FROM entry WHERE seq <= ?", upto)[0][0]
        copied: int = confirmed and 1 + confirmed
        self._execute("ALTER TABLE entry RENAME TO entry_old")
        self._execute("ALTER TABLE entry_new RENAME TO entry")
        for key, value in (("journal", journal), ("mark", 0), ("anchor_seq", 0), ("anchor_hash", anchor)):
            self._set_meta(key, value)
        self._set_meta("copied", copied)
        self._execute("DELETE FROM meta WHERE key LIKE 'renewal%'")
        return copied

    def tidy_some(self) -> None:
        """Remove a piece of what a renewal left: the entries that were copied, or copies that were never used."""
        with self._certain_or_closed("tidied"):
            self._has_leftovers = self._remove_some()

    @property
    def has_leftovers(self) -> bool:
        """Whether there may be something for ``tidy_some`` to remove."""
        return self._has_leftovers

    def _remove_some(self) -> bool:
        """Remove a piece of a table that no renewal needs any more; say whether there was one."""
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('entry_new', 'entry_old')"
        found = self._rows(sql)
        if not found:
            return False
        table = found[0][0]
        with self._transaction():
            self._execute("DELETE FROM meta WHERE key LIKE 'renewal%'")
            self._execute(
                f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?)",  # noqa: S608 - one of two names
                4 * self.slice,
            )
            if not self._rows(f"SELECT 1 FROM {table} LIMIT 1"):  # noqa: S608 - as above
                self._execute(f"DROP TABLE {table}")
        return True

    def _meta(self, key: str) -> Any:
        found = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return found[0][0] if found else None

    def _set_meta(self, key: str, value: object) -> None:
        self._execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, value)

    # --- the reserve --------------------------------------------------------------------------------------------------

    def keep_reserve(self) -> None:
        """Make sure that the reserve file exists. Raises JournalError when the disk has no room for it."""
        fresh = self._reserve.with_suffix(".new")
        try:
            if self._reserve.exists():
                return
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
        """Return how many entries no collector has confirmed, here or as the originals of copies (see ``renew``)."""
        confirmed = max(self.mark, self.anchor[0])
        return self.head - confirmed - max(0, self._copied - max(confirmed, 1))

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

    def recent(self, event_type: str, *, most: int) -> list[bytes]:
        """Return the last entries of a type, as stored, the newest first. Raises JournalError at damage."""
        sql = "SELECT body FROM entry WHERE type = ? ORDER BY seq DESC LIMIT ?"
        with readable(self.path):
            return [blob(row[0]) for row in self._rows(sql, event_type, most)]

    def recent_types(self, *, most: int) -> list[str]:
        """Return the types of the last entries, the newest first. Raises JournalError at damage."""
        with readable(self.path):
            return [str(row[0]) for row in self._rows("SELECT type FROM entry ORDER BY seq DESC LIMIT ?", most)]

    def last_time_ms(self) -> int | None:
        """Return the latest wall time on record (Unix milliseconds): no later moment can be before it.

        Raises JournalError at damage.
        """
        with readable(self.path):
            found = self._rows("SELECT max(at_ms) FROM entry")[0][0]
            return None if found is None else int(found)

    def _holds(self, drafts: Sequence[Draft]) -> bool:
        # Only the last few entries can be those of a retry: the writer waits for each one.
        last = self._rows("SELECT uid FROM entry ORDER BY seq DESC LIMIT ?", len(drafts))
        return [row[0] for row in reversed(last)] == [draft.uid for draft in drafts]

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
            elif main == self._files.main and not same_file(wal, self._files.wal):
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
        with contextlib.suppress(sqlite3.Error):
            self._fold_all()  # whoever has it now has it whole
        if same_file(wal, self._files.wal):
            self._files.drop_wal()  # it is the old file's; SQLite would play it into this one
        self._files.drop_index()
        self._sync_directory(self.path.parent)
        log.error("%s: the file stayed away; what stands there now is the journal", self.path)

    def _fold_all(self) -> bool:
        """Fold the whole WAL and begin it again from its start, unless a reader stays in the way for seconds."""
        blocked: int = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        return not blocked

    def _is_whole(self) -> bool:
        """Whether a fresh look at the named files finds a whole chain that holds our last entry."""
        try:
            with contextlib.closing(Reader(self.path)) as reader:
                return (
                    reader.id == self.id
                    and reader.is_sound()
                    and reader.first_break() is None
                    and reader.hash_at(self.head) == (self._head_hash if self.head else ZERO_HASH)
                )
        except JournalError:
            return False

    def _transaction(self) -> _Transaction:
        self._unfolded += 1
        return _Transaction(self._execute)

    def _execute(self, sql: str, *values: object) -> None:
        self._db.execute(sql, values).fetchall()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._db.execute(sql, values).fetchall()
        return rows


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

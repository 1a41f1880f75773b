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
  looked at again (``files``).

One thread writes. Readers open the file read-only (``reader``); WAL lets them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Final

from fabgate.errors import JournalError
from fabgate.gate.journal.changes import NO_CHANGE, Change, Draft, OpenSession
from fabgate.gate.journal.reader import blob, readable
from fabgate.gate.journal.renewal import RenewableJournal
from fabgate.gate.journal.store import SCHEMA_VERSION, Connect, plain_connect

__all__ = [
    "FOLD_AFTER",
    "NO_CHANGE",
    "RESERVE_BYTES",
    "SCHEMA_VERSION",
    "Change",
    "Connect",
    "Draft",
    "Journal",
    "OpenSession",
    "plain_connect",
]

RESERVE_BYTES: Final = 1024 * 1024
#: After so many transactions (two to four pages each) the WAL is worth folding.
FOLD_AFTER: Final = 40
#: After so many it is folded as soon as nothing else is to be written: for a gate on which nothing starts for long.
FOLD_SOON: Final = 160


class Journal(RenewableJournal):
    """One gate's journal. What touches the disk is injected, so that tests can put a failing one below it."""

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
        self._changes.append(change)  # added up later: a tap waits here

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
        self._holding  # noqa: B018 - adds up what changed: nobody waits now
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

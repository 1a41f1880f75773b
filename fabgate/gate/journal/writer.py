"""The journal: the durable, ordered record of everything that happened at this machine.

An append-only SQLite file, which is the record and the outbox at once: each entry's bytes are made here once, stored,
chained, and later published unchanged. Nothing is ever changed; the oldest acknowledged entries are trimmed, leaving an
anchor from which the chain can still be checked.

Why it is written this way (measured, see docs/decisions/0003):

* WAL with ``synchronous=FULL``: with NORMAL a power cut loses committed rows.
* A new file is made whole under another name and renamed: a power cut in the middle of SQLite's own first page would leave
  a file that is no database. The directory is fsynced: otherwise a cut may bring the empty directory back.
* A COMMIT that raised may be durable. So the caller makes the uids, and ``append`` may be called again with the same
  drafts after any error: it opens the file again and writes only what is missing.
* What is read after opening may be only in memory: a commit whose fsync failed, or whose process was killed before it. So
  the WAL is written and synced again before it is trusted.
* On a full disk even DELETE fails: a reserve file is kept, to be freed for the end of a running session.
* ``fold`` brings the content of the WAL into the main file while no member waits for power. SQLite would do it within a commit, with
  two more syncs, which delayed one tap in eighty.
* A file that was deleted can still be written, and is lost when the process ends. So a commit counts only once both
  files have been checked again (``files``).

One thread writes. Readers open the file read-only (``reader``), which WAL allows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Final

from fabgate.errors import JournalError
from fabgate.gate.journal.changes import NO_CHANGE, Change, Draft, OpenSession
from fabgate.gate.journal.reader import as_bytes, reading
from fabgate.gate.journal.recovery import Connect, open_connection
from fabgate.gate.journal.renewal import RenewableJournal

__all__ = [
    "FOLD_AFTER",
    "NO_CHANGE",
    "RESERVE_BYTES",
    "Change",
    "Connect",
    "Draft",
    "Journal",
    "OpenSession",
    "open_connection",
]

RESERVE_BYTES: Final = 1024 * 1024
#: After this many transactions (two to four pages each) folding the WAL is worth it.
FOLD_AFTER: Final = 40
#: After this many it is folded as soon as nothing else has to be written, also while no session starts.
FOLD_SOON: Final = 160


class Journal(RenewableJournal):
    """One gate's journal. Everything that touches the disk is injected, so that tests can make it fail."""

    # --- write --------------------------------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft], change: Change = NO_CHANGE) -> int:
        """Write drafts to disk in one transaction; return the number of the last entry.

        Raises JournalError when that is not certain. Then call it again with the same drafts: nothing is written twice.
        """
        with self._certain_or_closed("written"):
            if not (self._is_reopened and drafts and self._contains(drafts)):
                self._write(drafts, change)
            self._is_reopened = False
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
        """Replace the counters of the open session, durably; do nothing where another session is open."""
        with self._certain_or_closed("written"), self._transaction():
            self._execute(
                "UPDATE open_session SET energised_ms = ?, running_ms = ?, boot_ms = ? WHERE session = ?",
                energised_ms,
                running_ms,
                boot_ms,
                session,
            )
        self._state = self._state.after_checkpoint(session, energised_ms, running_ms, boot_ms)

    def acknowledge(self, seq: int) -> None:
        """Move the mark to `seq`: forwards, or backwards when a collector was restored from a copy.

        It stays between the anchor and the head: an entry that is not written yet is never acknowledged.
        """
        with self._certain_or_closed("written"):
            seq = min(max(seq, self.anchor[0]), self.head)  # both are certain only once the file is open
            with self._transaction():
                self._execute("UPDATE meta SET value = ? WHERE key = 'mark'", seq)
            self.mark = seq

    def trim(self, *, before_ms: int, most: int) -> int:
        """Remove acknowledged entries from before `before_ms` (Unix), and the oldest ones above `most`.

        Returns how many were removed. Unacknowledged entries are never removed. An entry without a time counts as old as
        the next one with a time: most gates start before their clock is set.
        """
        with self._certain_or_closed("trimmed"):
            if self._meta("renewal") is not None:
                return 0  # a renewal counts its copies by the entries that are there
            # Called for every mark, so it searches from the oldest entry on: usually the first row ends the search.
            recent = self._rows("SELECT seq FROM entry WHERE at_ms >= ? ORDER BY seq LIMIT 1", before_ms)
            upto = min(self.mark, recent[0][0] - 1) if recent else self.mark
            old = self._rows("SELECT max(seq) FROM entry WHERE seq <= ? AND at_ms < ?", upto, before_ms)[0][0]
            last = max(old or 0, min(self.mark, self.head - most))
            return self._remove(last)

    def _remove(self, last: int) -> int:
        """Remove the entries up to `last`, which becomes the anchor; return how many were removed."""
        floor = self.anchor[0]
        if last <= floor:
            return 0
        rows = self._rows("SELECT hash FROM entry WHERE seq = ?", last)
        with reading(self.path):
            anchor = as_bytes(rows[0][0])
        with self._transaction():
            self._execute("UPDATE meta SET value = ? WHERE key = 'anchor_seq'", last)
            self._execute("UPDATE meta SET value = ? WHERE key = 'anchor_hash'", anchor)
            self._execute("DELETE FROM entry WHERE seq <= ?", last)
        self.anchor = (last, anchor)
        return last - floor

    def keep_newest(self, most: int) -> int:
        """Remove the oldest entries above `most`, confirmed or not; return how many were removed.

        For a gate without a collector. It removes at most `SLICE` at a time, so that a tap waits for one step only. The
        chain is whole from the anchor on.
        """
        with self._certain_or_closed("trimmed"):
            return self._remove(min(self.head - most, self.anchor[0] + self.slice))

    @property
    def kept(self) -> int:
        """Return how many entries are kept."""
        return self.head - self.anchor[0]

    def fold(self, *, at_least: int = FOLD_AFTER) -> None:
        """Bring the WAL into the main file after `at_least` transactions. Call it while no member waits for the disk.

        Raises JournalError when the file cannot be written; committed entries stay in the WAL.
        """
        if self._unfolded < at_least:
            return
        self._state  # noqa: B018 - adds up the changes now, while nobody waits
        with self._certain_or_closed("folded", folds=True):
            self._execute("PRAGMA wal_checkpoint(PASSIVE)")  # where a reader prevents it, the rest is folded next time
            self._unfolded = 0

    def fold_all(self) -> bool:
        """Bring the whole WAL into the main file, before the file is moved; return False where a reader prevents it.

        Raises JournalError when the file cannot be written.
        """
        with self._certain_or_closed("folded", folds=True):
            return self._fold_all()

    @property
    def has_much_to_fold(self) -> bool:
        """Whether the WAL should be folded although no session has started."""
        return self._unfolded >= FOLD_SOON

    def check_files(self) -> None:
        """Check that both files are unchanged. Raises JournalError where they are not, until the journal has recovered."""
        if self._db is None or not self._files.are_unchanged():
            with self._certain_or_closed("read"):
                pass

    # --- the reserve --------------------------------------------------------------------------------------------------

    def keep_reserve(self) -> None:
        """Create the reserve file where it is missing. Raises JournalError when the disk has no room for it."""
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
        """Free the reserve for an entry that must be written; return whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    # --- read ---------------------------------------------------------------------------------------------------------

    @property
    def floor(self) -> int:
        """Return the number of the oldest entry kept, or of the next entry where none is kept."""
        return self.anchor[0] + 1

    @property
    def unacknowledged(self) -> int:
        """Return how many entries are unconfirmed; a copy is confirmed with its original (see ``renew_some``)."""
        confirmed = max(self.mark, self.anchor[0])
        return self.head - confirmed - max(0, self._copied - max(confirmed, 1))

    def recent(self, event_type: str, *, most: int) -> list[bytes]:
        """Return the last entries of a type, as stored, the newest first. Raises JournalError for a damaged file."""
        sql = "SELECT body FROM entry WHERE type = ? ORDER BY seq DESC LIMIT ?"
        with reading(self.path):
            return [as_bytes(row[0]) for row in self._rows(sql, event_type, most)]

    def recent_types(self, *, most: int) -> list[str]:
        """Return the types of the last entries, the newest first. Raises JournalError for a damaged file."""
        with reading(self.path):
            return [str(row[0]) for row in self._rows("SELECT type FROM entry ORDER BY seq DESC LIMIT ?", most)]

    def last_time_ms(self) -> int | None:
        """Return the latest wall time in the journal (Unix milliseconds). Raises JournalError for a damaged file."""
        with reading(self.path):
            newest_ms = self._rows("SELECT max(at_ms) FROM entry")[0][0]
            return None if newest_ms is None else int(newest_ms)

    def _contains(self, drafts: Sequence[Draft]) -> bool:
        # Only the last entries can be those of a retry, because the writer waits for each transaction.
        last = self._rows("SELECT uid FROM entry ORDER BY seq DESC LIMIT ?", len(drafts))
        return [row[0] for row in reversed(last)] == [draft.uid for draft in drafts]

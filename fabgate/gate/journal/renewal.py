"""Continues a journal under another id, in small steps (docs/decisions/0047)."""

from __future__ import annotations

from fabgate import wire
from fabgate.gate.journal.changes import Draft
from fabgate.gate.journal.reader import as_bytes, reading
from fabgate.gate.journal.recovery import RecoverableJournal
from fabgate.gate.journal.tables import ENTRIES
from fabgate.seal import first_prev, to_text


class RenewableJournal(RecoverableJournal):
    """A journal that can continue under another id."""

    def renew(self, journal: str, first: Draft) -> int:
        """Continue as another journal at once; return the new head. See ``renew_some``."""
        while not self.renew_some(journal, first):
            pass
        return self.head

    def renew_some(self, journal: str, first: Draft) -> bool:
        """Take one step of the renewal; return whether it is complete: `first`, then a copy of each entry kept.

        A copy keeps uid, type, time and data, and names its first original. A renewal is for a journal of which the
        collector has another history (a restored image): no entry may be lost, and no number used twice.

        The copies are made in a second table, `SLICE` at a time, which replaces the first one in the last step. Between
        two steps the journal is written as usual, and new entries are copied too. After a kill the renewal continues
        where it stopped if it is called with the same id, and begins again with another.

        Copies of confirmed entries are kept like the others until the new journal is confirmed that far: a collector
        restored from a copy is filled from them, and entry 1, which reports the fork, precedes them. But they do not
        count as ``unacknowledged``, or a fork would block the machine until they arrived again. So for that time the
        file may hold twice as many entries as are kept.
        """
        with self._certain_or_closed("renewed"):
            if self.id == journal:
                return True  # an earlier call that raised was durable
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
                    with reading(self.path):
                        copy = wire.copy_entry(
                            wire.decode_entry(as_bytes(body)),
                            topics=self.topics,
                            journal=journal,
                            seq=head,
                            prev=to_text(prev),
                            copyof=f"{self.id}/{seq}/{to_text(as_bytes(old_hash))}",
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
            self._execute(ENTRIES.format("entry_new"))
            self._put_draft(journal, 1, first_prev(journal), first, table="entry_new")
            self._set_meta("renewal", journal)
            self._set_meta("renewal_at", 0)
            self._has_leftovers = True

    def _put_in_place(self, journal: str, anchor: bytes) -> int:
        """Replace the entries by the copies; return up to which number the originals were confirmed, 0 for none."""
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
        """Remove some rows that a renewal left: entries that were copied, or copies that were never used."""
        with self._certain_or_closed("tidied"):
            self._has_leftovers = self._remove_some()

    @property
    def has_leftovers(self) -> bool:
        """Whether ``tidy_some`` may have something to remove."""
        return self._has_leftovers

    def _remove_some(self) -> bool:
        """Remove some rows of a table that no renewal needs any more; return whether there were any."""
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('entry_new', 'entry_old')"
        tables = self._rows(sql)
        if not tables:
            return False
        table = tables[0][0]
        with self._transaction():
            self._execute("DELETE FROM meta WHERE key LIKE 'renewal%'")
            self._execute(
                f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} ORDER BY seq LIMIT ?)",  # noqa: S608 - one of two names
                4 * self.slice,
            )
            if not self._rows(f"SELECT 1 FROM {table} LIMIT 1"):  # noqa: S608 - as above
                self._execute(f"DROP TABLE {table}")
        return True

"""Opens a journal's file, confirms a write only while its files have their names, and recovers where they were changed.

What other programs can do to the files, and how the journal recovers: docs/decisions/0046 and 0064.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.journal.changes import Change, JournalState
from fabgate.gate.journal.files import (
    JournalFiles,
    Stamp,
    create_database,
    refuse_link,
    rewrite_and_sync,
    same_file,
    set_aside_foreign_wal,
)
from fabgate.gate.journal.reader import DAMAGE, SMALL_CACHE, JournalReader, damaged
from fabgate.gate.journal.tables import JournalTables, empty_journal
from fabgate.seal import ZERO_HASH

log = logging.getLogger(__name__)

Connect = Callable[[str], Any]
#: SQLite does not fold automatically: it would do so within a commit.
NO_FOLD: Final = "PRAGMA wal_autocheckpoint=0"


def open_connection(path: str) -> sqlite3.Connection:
    """Open a database without implicit transactions, for the journal's own thread."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)


class RecoverableJournal(JournalTables):
    """A journal that recovers. Everything that touches the disk is injected, so that tests can make it fail."""

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
        super().__init__(path, topics)
        #: Whether ``open`` made a new file.
        self.is_new = False
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
        #: True until the first append after opening: the file may already hold the drafts that are appended next.
        self._is_reopened = True
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
                self._create(self.path, empty_journal(self.topics))
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
            self._is_reopened = True
            self._state = JournalState(self.open_session(), self.latched(), self.lock())
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

    def _restore(self) -> None:
        """Write the current state into a file that replaced ours and has no state, or an older one."""
        state = self._to_restore
        if state is None:
            return
        self._write_state(state)
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

    # --- confirm or recover -------------------------------------------------------------------------------------------

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

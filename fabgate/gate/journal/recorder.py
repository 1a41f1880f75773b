"""The journal's thread: writes everything in order, repeats a failed write until it succeeds, and reports a failing disk.

The loop that owns the power never waits for the disk: it queues, and the confirmation comes back as an event. A failed
write is repeated with the same uids until it is certain; meanwhile the cause ``journal`` forbids new sessions. The end
of a session may use the reserve; the cause is cleared only once there is a reserve again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from fabgate.errors import JournalError
from fabgate.gate.journal.writer import NO_CHANGE, Change, Draft, Journal

log = logging.getLogger(__name__)

RETRY_FIRST_S: Final = 0.5
RETRY_MOST_S: Final = 5.0
PROBE_S: Final = 2.0
#: The longest pause between two steps of background work.
PAUSE_MOST_S: Final = 1.0


class JournalFailed(msgspec.Struct, frozen=True):
    """A write failed; nothing is confirmed before ``JournalRecovered``."""

    detail: str


class JournalRecovered(msgspec.Struct, frozen=True):
    """Writes succeed again, and the reserve is there."""


class CheckpointStored(msgspec.Struct, frozen=True):
    """The checkpoint that was requested at `boot_ms` is on disk."""

    boot_ms: int


class EntriesStored(msgspec.Struct, frozen=True):
    """Entries up to `head` are on disk; `unacknowledged` of them are not confirmed by a collector.

    `token` names the record that was written with them, where there was one. One event reports both, because a member
    may be waiting for power, and each further event would keep this thread busy and the loop waiting for the
    interpreter.
    """

    head: int
    unacknowledged: int
    token: int | None = None
    #: The oldest entry that is kept.
    floor: int = 1


class JournalRenewed(msgspec.Struct, frozen=True):
    """The journal continues under a new id, with copies of the entries that it kept."""

    journal: str
    head: int


class JournalReopened(msgspec.Struct, frozen=True):
    """The journal continues in another file, or with other content, because its files were changed from outside."""

    journal: str
    head: int
    unacknowledged: int


class _Fork(msgspec.Struct, frozen=True):
    """Continue as the journal `new`; `first` makes the entry that names the old one."""

    new: str
    first: Callable[[Journal], Draft]


class _Append(msgspec.Struct, frozen=True):
    token: int | None
    drafts: Sequence[Draft]
    change: Change


class _Checkpoint(msgspec.Struct, frozen=True):
    session: str
    energised_ms: int
    running_ms: int
    boot_ms: int


class _WriteCheckpoint(msgspec.Struct, frozen=True):
    """Write the newest checkpoint."""


class _WriteMark(msgspec.Struct, frozen=True):
    """Write the newest mark."""


class _CheckFiles(msgspec.Struct, frozen=True):
    """Check whether the files were changed from outside."""


class _Stop(msgspec.Struct, frozen=True):
    """End the thread."""


class Recorder:
    """The journal's thread. `post` takes the events above; `wait` waits some seconds, or until asked to stop.

    `trim` trims the journal after a new mark. `keep_newest` is how many entries are kept where no collector confirms
    them, and None where one does.
    """

    def __init__(
        self,
        journal: Journal,
        post: Callable[[object], None],
        *,
        trim: Callable[[Journal], None] = lambda _: None,
        keep_newest: int | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._journal = journal
        self._post = post
        self._trim = trim
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._has_failed = False
        #: The boot time of the newest checkpoint on disk.
        self.checkpoint_stored_ms = 0
        #: The job that is being done. It is done again if this thread fails unexpectedly and is restarted.
        self._current: object = None
        # Only the newest is written: a disk that was stalled for a minute must not get two old checkpoints.
        self._latest_checkpoint: _Checkpoint | None = None
        self._latest_mark: tuple[int, int] | None = None
        #: Counts how often the journal was renewed or its file replaced. A mark of an earlier generation confirms
        #: nothing.
        self._generation = 0
        journal.when_reopened(self._reopened)
        #: The renewal that is in progress; the entry that names the old journal is made once.
        self._renewal: _Fork | None = None
        self._first: Draft | None = None
        self._fold_next = False
        self._keep_newest = keep_newest
        self._pause_until_s = 0.0

    # --- called by others ---------------------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft], change: Change = NO_CHANGE, *, token: int | None = None) -> None:
        """Queue one transaction; ``EntriesStored`` with this token follows when it is on disk."""
        self._queue.put(_Append(token, drafts, change))

    def checkpoint(self, session: str, *, energised_ms: int, running_ms: int, boot_ms: int) -> None:
        """Queue a checkpoint; ``CheckpointStored`` follows."""
        self._latest_checkpoint = _Checkpoint(session, energised_ms, running_ms, boot_ms)
        self._queue.put(_WriteCheckpoint())

    def acknowledge(self, seq: int, generation: int) -> None:
        """Queue a new mark. It is ignored if the journal has another `generation` by then.

        The generation is the number of ``JournalRenewed`` and ``JournalReopened`` so far.
        """
        self._latest_mark = (seq, generation)
        self._queue.put(_WriteMark())

    def check_files(self) -> None:
        """Queue a check of the journal's files, unless a queued job will check them anyway."""
        if self._queue.empty():
            self._queue.put(_CheckFiles())

    def fork(self, new: str, first: Callable[[Journal], Draft]) -> None:
        """Queue the continuation of the journal under the id `new`; ``JournalRenewed`` follows."""
        self._queue.put(_Fork(new, first))

    def stop(self) -> None:
        """Ask the thread to end once what is queued is written, or at the next failure."""
        self._stop.set()
        self._queue.put(_Stop())

    # --- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Write until asked to stop."""
        try:
            self._run()
        except Exception:
            self._has_failed = True  # the failure of this thread is reported as a failure of the journal
            raise
        finally:
            self._journal.close()  # the repeated job may be on disk already, which is checked only after opening

    def _run(self) -> None:
        while True:
            if self._current is None:
                in_background = self._has_background_work()
                try:
                    self._current = self._queue.get(timeout=self._timeout_s(in_background=in_background))
                except Empty:
                    self._background_step() if in_background else self._probe()
                    continue
            if isinstance(self._current, _Stop):
                break
            self._do(self._current)
            self._current = None

    def _do(self, job: object) -> None:
        if isinstance(job, _Append):
            self._append(job)
        elif isinstance(job, _Fork):
            self._renewal, self._first = job, None
        elif isinstance(job, _WriteCheckpoint):
            self._write_checkpoint()
        elif isinstance(job, _CheckFiles):
            self._check_files()
        else:
            self._write_mark()

    def _append(self, job: _Append) -> None:
        if not self._until_written(lambda: self._journal.append(job.drafts, job.change), ends=bool(job.change.closes)):
            return
        self._post(self._stored(job.token))
        if job.change.opens is not None:
            self._fold()  # until this session ends, no member waits for power

    def _stored(self, token: int | None = None) -> EntriesStored:
        journal = self._journal
        return EntriesStored(journal.head, journal.unacknowledged, token, journal.floor)

    def _fold(self) -> None:
        try:
            self._journal.fold()
        except JournalError as error:
            self._failed(error)

    def _check_files(self) -> None:
        try:
            self._journal.check_files()
        except JournalError as error:
            self._failed(error)  # the probe checks the files again

    def _reopened(self) -> None:
        journal = self._journal
        self._renewal = None  # the renewal was for the earlier file
        self._generation += 1
        self._post(JournalReopened(journal.id, journal.head, journal.unacknowledged))

    # --- background work: one short step at a time, so that a queued job waits for one step only ----------------------

    def _has_background_work(self) -> bool:
        if self._has_failed:
            return False  # first the probe must succeed
        journal = self._journal
        return (
            self._renewal is not None
            or self._fold_next
            or journal.has_leftovers
            or journal.has_much_to_fold
            or self._has_too_many()
        )

    def _has_too_many(self) -> bool:
        """Whether there are 1 % more entries than are kept. Removing one entry for each new one would be too slow."""
        most = self._keep_newest
        return most is not None and self._journal.kept > most + most // 100

    def _timeout_s(self, *, in_background: bool) -> float | None:
        """Return how long to wait for the next job, or None where there is nothing else to do."""
        if in_background:
            return max(0.0, self._pause_until_s - time.monotonic())
        return PROBE_S if self._has_failed else None

    def _background_step(self) -> None:
        began_s = time.monotonic()
        self._do_background_step()
        ended_s = time.monotonic()
        self._pause_until_s = ended_s + min(ended_s - began_s, PAUSE_MOST_S)  # half of the time is for queued jobs

    def _do_background_step(self) -> None:
        try:
            if self._fold_next or self._journal.has_much_to_fold:
                self._journal.fold(at_least=1)
                self._fold_next = False
                return
            self._fold_next = True  # otherwise the WAL would become as large as all that is copied
            if self._renewal is not None:
                self._renew_some(self._renewal)
            elif self._journal.has_leftovers:
                self._journal.tidy_some()
            elif self._keep_newest is not None and self._journal.keep_newest(self._keep_newest):
                self._post(self._stored())
        except JournalError as error:
            self._failed(error)

    def _renew_some(self, job: _Fork) -> None:
        if self._first is None:
            self._first = job.first(self._journal)
        if self._journal.renew_some(job.new, self._first):
            self._renewal = self._first = self._latest_mark = None  # the mark was the old journal's
            self._generation += 1
            self._post(JournalRenewed(job.new, self._journal.head))

    def _until_written(self, write: Callable[[], object], *, ends: bool) -> bool:
        """Repeat a write until it is certain; return False when asked to stop before that."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                write()
            except JournalError as error:
                self._failed(error)
                if ends and self._journal.free_reserve():
                    log.warning("the reserve was freed for the end of a session")
                    continue
                if self._wait(pause_s):
                    log.error("stopping with an entry that could not be written: %s", error)
                    return False
                pause_s = min(pause_s * 2, RETRY_MOST_S)
            else:
                self._probe()
                return True

    def _write_checkpoint(self) -> None:
        latest, self._latest_checkpoint = self._latest_checkpoint, None
        if latest is None:
            return
        try:
            self._journal.checkpoint(
                latest.session,
                energised_ms=latest.energised_ms,
                running_ms=latest.running_ms,
                boot_ms=latest.boot_ms,
            )
        except JournalError as error:
            self._latest_checkpoint = self._latest_checkpoint or latest  # stored by the probe, once it succeeds
            self._failed(error)
        else:
            self.checkpoint_stored_ms = latest.boot_ms
            self._post(CheckpointStored(latest.boot_ms))

    def _write_mark(self) -> None:
        latest, self._latest_mark = self._latest_mark, None
        if latest is None:
            return
        try:
            self._journal.check_files()  # the file may be another journal by now, and the mark not its own
            if latest[0] == self._journal.mark or latest[1] != self._generation:
                return
            self._journal.acknowledge(latest[0])
            self._trim(self._journal)
        except JournalError as error:
            self._latest_mark = self._latest_mark or latest  # stored by the probe, once it succeeds
            self._failed(error)
        else:
            self._post(self._stored())

    def _failed(self, error: JournalError) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.error("%s", error)
            self._post(JournalFailed(str(error)))

    def _probe(self) -> None:
        """Report that the journal has recovered, once a real write and the reserve have succeeded."""
        if not self._has_failed:
            return
        try:
            self._journal.acknowledge(self._journal.mark)
            self._journal.keep_reserve()
        except JournalError:
            return
        self._has_failed = False
        log.info("the journal can be written again")
        self._post(JournalRecovered())
        self._write_checkpoint()
        self._write_mark()

"""Who writes the journal? One thread, in order, that never gives up on a fact and says when the disk is sick.

The loop that owns the power never waits for the disk: it queues, and confirmation comes back as an event. A write that
fails is tried again with the same uids until it is certain; meanwhile the cause ``journal`` forbids new sessions. The
end of a session may use the reserve; the cause is only cleared once there is a reserve again.
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
#: The longest rest between two pieces of work that nobody waits for.
REST_MOST_S: Final = 1.0


class JournalSick(msgspec.Struct, frozen=True):
    """A write failed; nothing is confirmed until ``JournalWell``."""

    detail: str


class JournalWell(msgspec.Struct, frozen=True):
    """Writes succeed again, and the reserve is there."""


class CheckpointKept(msgspec.Struct, frozen=True):
    """The checkpoint that was asked for at `boot_ms` is on disk."""

    boot_ms: int


class Stored(msgspec.Struct, frozen=True):
    """Entries up to `head` are on disk; `unacknowledged` of them no collector has confirmed.

    With them the record `token` got there, when that was asked for with one. It is one event with the rest, and the
    last that its write leads to: whoever waits for power waits for this thread to let go of the interpreter.
    """

    head: int
    unacknowledged: int
    token: int | None = None
    #: The oldest entry that is kept.
    floor: int = 1


class Renewed(msgspec.Struct, frozen=True):
    """The journal continues under a new id, with copies of what it kept."""

    journal: str
    head: int


class Reopened(msgspec.Struct, frozen=True):
    """What is written from now on is another file, or other bytes, because somebody touched the journal's files."""

    journal: str
    head: int
    unacknowledged: int


class _Fork(msgspec.Struct, frozen=True):
    """Continue as journal `new`; `first` makes the entry that names the old one."""

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


_END: Final = object()
_LOOK: Final = object()


class Recorder:
    """The journal's thread. `post` takes the events it makes; `wait` waits so many seconds or until told to stop.

    `keep_newest`: how many entries are kept of a journal that no collector confirms; None where one does.
    """

    def __init__(
        self,
        journal: Journal,
        post: Callable[[object], None],
        *,
        keep: Callable[[Journal], None] = lambda _: None,
        keep_newest: int | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._journal = journal
        self._post = post
        self._keep = keep
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._sick = False
        #: The boot time of the newest checkpoint on disk.
        self.checkpoint_kept_ms = 0
        #: What is being written. It is taken up again should this thread fail in a way nobody foresaw.
        self._current: object = None
        # The newest wins: a disk that was stalled for a minute must not replay two old checkpoints.
        self._latest_checkpoint: _Checkpoint | None = None
        self._latest_mark: tuple[int, int | None] | None = None
        #: How often the journal became another one, or another file. A mark of the one before confirms nothing here.
        self._generation = 0
        journal.taken_over = self._taken_over
        #: The journal is on its way to become another one; the entry that names the old one is made once.
        self._renewal: _Fork | None = None
        self._first: Draft | None = None
        self._fold_next = False
        self._keep_newest = keep_newest
        self._rest_until_s = 0.0

    # --- called by others ---------------------------------------------------------------------------------------------

    def append(self, drafts: Sequence[Draft], change: Change = NO_CHANGE, *, token: int | None = None) -> None:
        """Queue one transaction; ``Stored`` with this token follows when it is on disk."""
        self._queue.put(_Append(token, drafts, change))

    def checkpoint(self, session: str, *, energised_ms: int, running_ms: int, boot_ms: int) -> None:
        """Queue a checkpoint; ``CheckpointKept`` follows."""
        self._latest_checkpoint = _Checkpoint(session, energised_ms, running_ms, boot_ms)
        self._queue.put(_Checkpoint)

    def acknowledge(self, seq: int, generation: int | None = None) -> None:
        """Queue a new mark; nothing where the journal is not the one any more that had that `generation`.

        The generation is how many ``Renewed`` and ``Reopened`` there were before.
        """
        self._latest_mark = (seq, generation)
        self._queue.put(int)

    def look(self) -> None:
        """Have the journal's files looked at, unless something else is to be done with them anyway."""
        if self._queue.empty():
            self._queue.put(_LOOK)

    def fork(self, new: str, first: Callable[[Journal], Draft]) -> None:
        """Queue that the journal continues under the id `new`; ``Renewed`` follows."""
        self._queue.put(_Fork(new, first))

    def stop(self) -> None:
        """Ask the thread to end once what is queued is written, or at the next failure."""
        self._stop.set()
        self._queue.put(_END)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Write until told to stop."""
        try:
            self._run()
        except Exception:
            self._sick = True  # whoever starts this again says so: then it has to be cleared by a write that succeeds
            raise
        finally:
            self._journal.close()  # what is taken up again may be on disk: only a file that is opened anew is looked at

    def _run(self) -> None:
        while True:
            if self._current is None:
                spare = self._has_spare_work()
                try:
                    self._current = self._queue.get(timeout=self._patience_s(spare=spare))
                except Empty:
                    self._spare_work() if spare else self._probe()
                    continue
            if self._current is _END:
                break
            self._do(self._current)
            self._current = None

    def _do(self, job: object) -> None:
        if isinstance(job, _Append):
            self._append(job)
        elif isinstance(job, _Fork):
            self._renewal, self._first = job, None
        elif job is _Checkpoint:
            self._write_checkpoint()
        elif job is _LOOK:
            self._look()
        else:
            self._write_mark()

    def _append(self, job: _Append) -> None:
        if not self._until_written(lambda: self._journal.append(job.drafts, job.change), ends=bool(job.change.closes)):
            return
        self._post(self._stored(job.token))
        if job.change.opens is not None:
            self._fold()  # the next one to wait for power is a session away

    def _stored(self, token: int | None = None) -> Stored:
        journal = self._journal
        return Stored(journal.head, journal.unacknowledged, token, journal.floor)

    def _fold(self) -> None:
        try:
            self._journal.fold()
        except JournalError as error:
            self._fell_sick(error)

    def _look(self) -> None:
        try:
            self._journal.look()
        except JournalError as error:
            self._fell_sick(error)  # the probe looks again

    def _taken_over(self) -> None:
        journal = self._journal
        self._renewal = None  # it was for the file before
        self._generation += 1
        self._post(Reopened(journal.id, journal.head, journal.unacknowledged))

    # --- what is done while nothing else is asked for: a piece at a time, so that nobody waits for more than one ---------

    def _has_spare_work(self) -> bool:
        if self._sick:
            return False  # the probe comes first
        journal = self._journal
        return (
            self._renewal is not None
            or self._fold_next
            or journal.has_leftovers
            or journal.has_much_to_fold
            or self._has_too_many()
        )

    def _has_too_many(self) -> bool:
        """Whether the oldest entries are to be forgotten: a hundredth more than are kept, or each entry would cost two."""
        most = self._keep_newest
        return most is not None and self._journal.kept > most + most // 100

    def _patience_s(self, *, spare: bool) -> float | None:
        """Return for how long the next job is waited for, or None where there is nothing else to do."""
        if spare:
            return max(0.0, self._rest_until_s - time.monotonic())
        return PROBE_S if self._sick else None

    def _spare_work(self) -> None:
        began_s = time.monotonic()
        self._do_spare_work()
        ended_s = time.monotonic()
        self._rest_until_s = ended_s + min(ended_s - began_s, REST_MOST_S)  # half of the time is for other jobs

    def _do_spare_work(self) -> None:
        try:
            if self._fold_next or self._journal.has_much_to_fold:
                self._journal.fold(at_least=1)
                self._fold_next = False
                return
            self._fold_next = True  # or the WAL would become as large as all that is copied
            if self._renewal is not None:
                self._renew_some(self._renewal)
            elif self._journal.has_leftovers:
                self._journal.tidy_some()
            elif self._keep_newest is not None and self._journal.keep_newest(self._keep_newest):
                self._post(self._stored())
        except JournalError as error:
            self._fell_sick(error)

    def _renew_some(self, job: _Fork) -> None:
        if self._first is None:
            self._first = job.first(self._journal)
        if self._journal.renew_some(job.new, self._first):
            self._renewal = self._first = self._latest_mark = None  # the mark was the old journal's
            self._generation += 1
            self._post(Renewed(job.new, self._journal.head))

    def _until_written(self, write: Callable[[], object], *, ends: bool) -> bool:
        """Write, again and again until it is certain; say whether that came before being told to stop."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                write()
            except JournalError as error:
                self._fell_sick(error)
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
            self._latest_checkpoint = self._latest_checkpoint or latest  # the probe tries again
            self._fell_sick(error)
        else:
            self.checkpoint_kept_ms = latest.boot_ms
            self._post(CheckpointKept(latest.boot_ms))

    def _write_mark(self) -> None:
        latest, self._latest_mark = self._latest_mark, None
        if latest is None:
            return
        try:
            self._journal.look()  # what is found may be another journal, and this mark not its own
            if latest[0] == self._journal.mark or latest[1] not in (None, self._generation):
                return
            self._journal.acknowledge(latest[0])
            self._keep(self._journal)
        except JournalError as error:
            self._latest_mark = self._latest_mark or latest  # the probe tries again
            self._fell_sick(error)
        else:
            self._post(self._stored())

    def _fell_sick(self, error: JournalError) -> None:
        if not self._sick:
            self._sick = True
            log.error("%s", error)
            self._post(JournalSick(str(error)))

    def _probe(self) -> None:
        """Clear the cause only when a real write and the reserve succeed."""
        if not self._sick:
            return
        try:
            self._journal.acknowledge(self._journal.mark)
            self._journal.keep_reserve()
        except JournalError:
            return
        self._sick = False
        log.info("the journal can be written again")
        self._post(JournalWell())
        self._write_checkpoint()
        self._write_mark()

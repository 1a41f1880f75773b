"""The journal's thread: in order, again until it is certain, and honest about a sick disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.journal import recorder
from fabgate.gate.journal.recorder import (
    CheckpointStored,
    EntriesStored,
    JournalFailed,
    JournalRecovered,
    JournalRenewed,
    Recorder,
)
from fabgate.gate.journal.writer import FOLD_AFTER, Change, Journal, OpenSession
from tests.gate.shell import Disk, drafts, wait

TOPICS = wire.GateTopics("lyon", "laser-1")
RUNNING = OpenSession("s-1", "m-ada", "b", 1, 0, 0, "boot-1", 100, 90_000)


class Desk:
    """A recorder that runs in a thread of its own, its disk, and everything that it posted."""

    def __init__(self, folder: Path) -> None:
        self.disk = Disk()
        self.journal = Journal(folder / "journal.db", TOPICS, connect=self.disk.connect)
        self.journal.open()
        self.journal.keep_reserve()
        self.posted: list[object] = []
        self.kept: list[int] = []
        self.pauses: list[float] = []
        #: How many commits there had been when a record was confirmed.
        self.commits_at: dict[int | None, int] = {}
        self.recorder = Recorder(
            self.journal, self.post, trim=lambda journal: self.kept.append(journal.mark), wait=self.wait
        )
        self.thread = threading.Thread(target=self.recorder.run)

    def post(self, event: object) -> None:
        if isinstance(event, EntriesStored):
            self.commits_at[event.token] = self.disk.commits
        self.posted.append(event)

    def wait(self, pause_s: float) -> bool:
        """The pause between two tries: as short as can be."""
        self.pauses.append(pause_s)
        return self.recorder._stop.wait(0.001)

    def start(self) -> Desk:
        self.thread.start()
        return self

    def end(self) -> None:
        self.disk.go_on()
        self.recorder.stop()
        if self.thread.ident is not None:
            self.thread.join()

    def await_(self, event: object) -> None:
        wait(lambda: event in self.posted, f"{event}")

    def of(self, kind: type) -> list[object]:
        return [event for event in self.posted if isinstance(event, kind)]

    def await_record(self, token: int) -> None:
        wait(lambda: token in self.records(), f"the record {token} on disk")

    def records(self) -> list[int]:
        """The tokens of the records that were confirmed, in order."""
        return [event.token for event in self.posted if isinstance(event, EntriesStored) and event.token is not None]

    def uids(self) -> list[str]:
        self.journal.open()
        return [row[0] for row in self.journal._rows("SELECT uid FROM entry ORDER BY seq")]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.end()


def test_what_is_on_disk_is_confirmed_in_order(desk: Desk) -> None:
    desk.start()
    for token in range(1, 4):
        desk.recorder.append(drafts(2, first=2 * token - 1), token=token)
    desk.await_record(3)
    assert desk.of(EntriesStored)[-1] == EntriesStored(6, 6, token=3)
    assert desk.records() == [1, 2, 3]
    desk.end()
    assert desk.uids() == [f"u{n}" for n in range(1, 7)]


def test_a_failing_write_is_told_once_tried_again_with_growing_pauses_and_written_once(desk: Desk) -> None:
    desk.disk.broken = "disk I/O error"
    desk.start()
    desk.recorder.append(drafts(1), token=1)
    wait(lambda: len(desk.pauses) >= 6, "six tries")
    assert desk.pauses[:6] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert len(desk.of(JournalFailed)) == 1
    assert desk.records() == []
    desk.disk.broken = ""
    desk.await_record(1)
    desk.await_(JournalRecovered())
    desk.end()
    assert desk.uids() == ["u1"]


def test_a_commit_that_raised_and_was_durable_is_found_and_not_repeated(desk: Desk) -> None:
    desk.disk.phantoms = 1
    desk.start()
    desk.recorder.append(drafts(1), token=1)
    desk.recorder.append(drafts(1, first=2), token=2)
    desk.await_record(2)
    desk.end()
    assert desk.uids() == ["u1", "u2"]


def test_the_end_of_a_session_may_have_the_reserve_and_the_cause_stays_until_there_is_one_again(desk: Desk) -> None:
    reserve = desk.journal._reserve
    desk.start()
    desk.recorder.append(drafts(1), Change(opens=RUNNING), token=1)
    desk.await_record(1)
    desk.disk.broken = "database or disk is full"
    freed = threading.Event()

    def free() -> bool:
        found = Journal.free_reserve(desk.journal)
        reserve.mkdir()  # nobody can make another one
        (reserve / "in the way").touch()
        desk.journal.keep_reserve = no_room  # type: ignore[method-assign]
        desk.disk.broken = ""
        freed.set()
        return found

    def no_room() -> None:
        raise JournalError("no room for the reserve")

    desk.journal.free_reserve = free  # type: ignore[method-assign]
    desk.recorder.append(drafts(1, first=2), Change(closes=frozenset({"s-1"})), token=2)
    desk.await_record(2)
    assert freed.is_set()
    assert desk.pauses == [], "the room was there at once"
    assert desk.of(JournalRecovered) == []
    del desk.journal.keep_reserve
    (reserve / "in the way").unlink()
    reserve.rmdir()
    desk.await_(JournalRecovered())


def test_the_wal_is_folded_once_somebody_has_power_and_never_before(desk: Desk) -> None:
    told: list[int] = []
    desk.journal.fold = lambda: told.append(len(desk.records()))  # type: ignore[method-assign]
    desk.start()
    desk.recorder.append(drafts(1), token=1)
    desk.recorder.append(drafts(1, first=2), Change(opens=RUNNING), token=2)
    desk.recorder.append(drafts(1, first=3), Change(closes=frozenset({"s-1"})), token=3)
    desk.await_record(3)
    assert told == [2], "once the start was confirmed"


def test_a_fold_that_fails_is_told_and_loses_nothing(desk: Desk) -> None:
    desk.start()
    for n in range(1, FOLD_AFTER):
        desk.recorder.append(drafts(1, first=n), token=n)
    desk.await_record(FOLD_AFTER - 1)
    desk.disk.breaks_after = "database or disk is full"
    desk.recorder.append(drafts(1, first=FOLD_AFTER), Change(opens=RUNNING), token=FOLD_AFTER)
    desk.await_record(FOLD_AFTER)
    wait(lambda: desk.of(JournalFailed), "that it is told")
    assert desk.of(JournalRecovered) == []
    desk.disk.broken = ""
    desk.await_(JournalRecovered())
    desk.end()
    assert desk.uids() == [f"u{n}" for n in range(1, FOLD_AFTER + 1)]


def test_an_entry_that_ends_nothing_does_not_get_the_reserve(desk: Desk) -> None:
    desk.disk.broken = "database or disk is full"
    desk.start()
    desk.recorder.append(drafts(1), token=1)
    wait(lambda: desk.pauses, "a try")
    assert desk.journal._reserve.exists()


def test_of_checkpoints_that_piled_up_only_the_newest_is_written(desk: Desk) -> None:
    desk.start()
    desk.recorder.append(drafts(1), Change(opens=RUNNING), token=1)
    desk.await_record(1)
    desk.disk.hold()
    desk.recorder.append(drafts(1, first=2), token=2)
    desk.disk.held.wait()
    for ms in (1_000, 2_000, 3_000):
        desk.recorder.checkpoint("s-1", energised_ms=ms, running_ms=0, boot_ms=ms)
    desk.disk.go_on()
    desk.await_(CheckpointStored(3_000))
    desk.end()
    assert desk.of(CheckpointStored) == [CheckpointStored(3_000)]
    assert desk.recorder.checkpoint_stored_ms == 3_000
    desk.journal.open()
    found = desk.journal.open_session()
    assert found is not None
    assert found.energised_ms == 3_000


def test_a_checkpoint_and_a_mark_that_failed_are_written_once_the_disk_recovers(desk: Desk) -> None:
    desk.start()
    desk.recorder.append(drafts(3), Change(opens=RUNNING), token=1)
    desk.await_record(1)
    desk.disk.broken = "disk I/O error"
    desk.recorder.checkpoint("s-1", energised_ms=1_000, running_ms=0, boot_ms=1_000)
    desk.recorder.acknowledge(2)
    wait(
        lambda: desk.of(JournalFailed) and desk.recorder._queue.empty() and desk.recorder._current is None, "both tries"
    )
    assert desk.of(CheckpointStored) == []
    desk.disk.broken = ""
    desk.await_(CheckpointStored(1_000))
    desk.await_(EntriesStored(3, 1))
    assert desk.kept == [2]


def test_a_mark_that_is_known_is_not_written_again(desk: Desk) -> None:
    desk.start()
    desk.recorder.append(drafts(2), token=1)
    desk.recorder.acknowledge(2)
    desk.await_(EntriesStored(2, 0))
    commits = desk.disk.commits
    desk.recorder.acknowledge(2)
    desk.recorder.acknowledge(2)
    desk.end()
    assert desk.disk.commits == commits
    assert desk.kept == [2]


def test_a_renewed_journal_is_told_with_its_head(desk: Desk) -> None:
    desk.start()
    desk.recorder.append(drafts(3), token=1)
    desk.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    desk.await_(JournalRenewed("j-new", 4))


def test_a_renewal_that_raised_and_was_durable_is_not_done_twice(desk: Desk) -> None:
    desk.start()
    desk.recorder.append(drafts(3), token=1)
    desk.await_record(1)
    desk.disk.phantoms = 1
    made = []

    def first(journal: Journal) -> object:
        made.append(journal.id)
        return drafts(1, uid="f")[0]

    desk.recorder.fork("j-new", first)  # type: ignore[arg-type]
    desk.await_(JournalRenewed("j-new", 4))
    desk.end()
    assert len(made) == 1
    assert desk.uids() == ["f1", "u1", "u2", "u3"]


def test_a_renewal_that_failed_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PROBE_S", 0.01)
    desk.start()
    desk.recorder.append(drafts(1), token=1)
    desk.await_record(1)
    desk.disk.broken = "disk I/O error"
    desk.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    wait(lambda: desk.of(JournalFailed), "the failure")
    desk.disk.broken = ""
    desk.await_(JournalRenewed("j-new", 2))
    desk.await_(JournalRecovered())


def test_who_waits_for_the_disk_during_a_renewal_waits_for_one_step_of_it(desk: Desk) -> None:
    desk.journal.slice = 4
    desk.recorder.append(drafts(100), token=1)
    desk.start()
    desk.await_record(1)
    desk.disk.hold()
    desk.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    assert desk.disk.held.wait(20)
    before = desk.disk.commits
    for token in (2, 3):
        desk.recorder.append(drafts(1, first=100 + token), token=token)
    desk.disk.go_on()
    desk.await_(JournalRenewed("j-new", 103))
    done = [
        event for event in desk.posted if isinstance(event, JournalRenewed) or getattr(event, "token", None) in (2, 3)
    ]
    assert [getattr(event, "token", None) for event in done] == [2, 3, None], (
        "both were stored before the copying ended"
    )
    assert desk.commits_at[2] - before <= 2, "the step that was under way, and the entry itself"
    assert desk.commits_at[3] - before <= 3
    assert desk.disk.commits - before > 20
    desk.end()
    assert desk.uids() == ["f1", *(f"u{n}" for n in range(1, 101)), "u102", "u103"]


def test_what_a_renewal_leaves_is_removed_piece_by_piece(desk: Desk) -> None:
    desk.journal.slice = 4
    desk.recorder.append(drafts(100), token=1)
    desk.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    desk.start()
    desk.await_(JournalRenewed("j-new", 101))
    wait(lambda: not desk.recorder._has_background_work(), "the end of the tidying")
    desk.end()
    desk.journal.open()
    tables = {row[0] for row in desk.journal._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"entry", "meta", "open_session", "latched"}


def test_a_stop_writes_what_is_queued(desk: Desk) -> None:
    desk.recorder.append(drafts(1), token=1)
    desk.recorder.stop()
    desk.start()
    desk.thread.join()
    assert desk.records() == [1]


def test_a_stop_gives_up_on_what_fails_with_a_line_in_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.disk.broken = "disk I/O error"
    desk.recorder.append(drafts(1), token=1)
    desk.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    desk.recorder.stop()
    desk.start()
    desk.thread.join()
    assert desk.records() == desk.of(JournalRenewed) == []
    assert caplog.text.count("stopping with an entry that could not be written") == 1
    assert "Traceback" not in caplog.text


def test_a_fault_nobody_foresaw_keeps_what_was_being_written_and_clears_after_a_write(desk: Desk) -> None:
    append, broken = desk.journal.append, iter([ZeroDivisionError("a bug")])

    def buggy(*arguments: object) -> int:
        for error in broken:
            raise error
        return append(*arguments)  # type: ignore[arg-type]

    desk.journal.append = buggy  # type: ignore[method-assign]
    desk.recorder.append(drafts(1), token=1)
    with pytest.raises(ZeroDivisionError):
        desk.recorder.run()
    desk.start()
    desk.await_record(1)
    desk.await_(JournalRecovered())


def test_a_fault_nobody_foresaw_behind_a_record_writes_it_no_second_time(desk: Desk) -> None:
    fold, broken = desk.journal.fold, iter([MemoryError("of SQLite")])

    def greedy() -> None:
        for error in broken:
            raise error
        fold()

    desk.journal.fold = greedy  # type: ignore[method-assign]
    desk.recorder.append(drafts(2), Change(opens=RUNNING), token=1)
    desk.recorder.append(drafts(1, first=3), token=2)
    with pytest.raises(MemoryError):
        desk.recorder.run()
    desk.start()
    desk.await_record(2)
    desk.await_(JournalRecovered())
    desk.end()
    assert desk.uids() == ["u1", "u2", "u3"]

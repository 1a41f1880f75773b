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
from tests.gate.fakes import Disk
from tests.gate.shell import drafts, wait

TOPICS = wire.GateTopics("lyon", "laser-1")
RUNNING = OpenSession("s-1", "m-ada", "b", 1, 0, 0, "boot-1", 100, 90_000)


class Harness:
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

    def start(self) -> Harness:
        self.thread.start()
        return self

    def end(self) -> None:
        self.disk.go_on()
        self.recorder.stop()
        if self.thread.ident is not None:
            self.thread.join()

    def wait_for_event(self, event: object) -> None:
        wait(lambda: event in self.posted, f"{event}")

    def of(self, kind: type) -> list[object]:
        return [event for event in self.posted if isinstance(event, kind)]

    def wait_for_record(self, token: int) -> None:
        wait(lambda: token in self.records(), f"the record {token} on disk")

    def records(self) -> list[int]:
        """The tokens of the records that were confirmed, in order."""
        return [event.token for event in self.posted if isinstance(event, EntriesStored) and event.token is not None]

    def uids(self) -> list[str]:
        self.journal.open()
        return [row[0] for row in self.journal._rows("SELECT uid FROM entry ORDER BY seq")]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    found = Harness(tmp_path)
    yield found
    found.end()


def test_what_is_on_disk_is_confirmed_in_order(harness: Harness) -> None:
    harness.start()
    for token in range(1, 4):
        harness.recorder.append(drafts(2, first=2 * token - 1), token=token)
    harness.wait_for_record(3)
    assert harness.of(EntriesStored)[-1] == EntriesStored(6, 6, token=3)
    assert harness.records() == [1, 2, 3]
    harness.end()
    assert harness.uids() == [f"u{n}" for n in range(1, 7)]


def test_a_failing_write_is_told_once_tried_again_with_growing_pauses_and_written_once(harness: Harness) -> None:
    harness.disk.broken = "disk I/O error"
    harness.start()
    harness.recorder.append(drafts(1), token=1)
    wait(lambda: len(harness.pauses) >= 6, "six tries")
    assert harness.pauses[:6] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert len(harness.of(JournalFailed)) == 1
    assert harness.records() == []
    harness.disk.broken = ""
    harness.wait_for_record(1)
    harness.wait_for_event(JournalRecovered())
    harness.end()
    assert harness.uids() == ["u1"]


def test_a_commit_that_raised_and_was_durable_is_found_and_not_repeated(harness: Harness) -> None:
    harness.disk.phantoms = 1
    harness.start()
    harness.recorder.append(drafts(1), token=1)
    harness.recorder.append(drafts(1, first=2), token=2)
    harness.wait_for_record(2)
    harness.end()
    assert harness.uids() == ["u1", "u2"]


def test_the_end_of_a_session_may_have_the_reserve_and_the_cause_stays_until_there_is_one_again(
    harness: Harness,
) -> None:
    reserve = harness.journal._reserve
    harness.start()
    harness.recorder.append(drafts(1), Change(opens=RUNNING), token=1)
    harness.wait_for_record(1)
    harness.disk.broken = "database or disk is full"
    freed = threading.Event()

    def free() -> bool:
        found = Journal.free_reserve(harness.journal)
        reserve.mkdir()  # nobody can make another one
        (reserve / "in the way").touch()
        harness.journal.keep_reserve = no_room  # type: ignore[method-assign]
        harness.disk.broken = ""
        freed.set()
        return found

    def no_room() -> None:
        raise JournalError("no room for the reserve")

    harness.journal.free_reserve = free  # type: ignore[method-assign]
    harness.recorder.append(drafts(1, first=2), Change(closes=frozenset({"s-1"})), token=2)
    harness.wait_for_record(2)
    assert freed.is_set()
    assert harness.pauses == [], "the room was there at once"
    assert harness.of(JournalRecovered) == []
    del harness.journal.keep_reserve
    (reserve / "in the way").unlink()
    reserve.rmdir()
    harness.wait_for_event(JournalRecovered())


def test_the_wal_is_folded_once_somebody_has_power_and_never_before(harness: Harness) -> None:
    told: list[int] = []
    harness.journal.fold = lambda: told.append(len(harness.records()))  # type: ignore[method-assign]
    harness.start()
    harness.recorder.append(drafts(1), token=1)
    harness.recorder.append(drafts(1, first=2), Change(opens=RUNNING), token=2)
    harness.recorder.append(drafts(1, first=3), Change(closes=frozenset({"s-1"})), token=3)
    harness.wait_for_record(3)
    assert told == [2], "once the start was confirmed"


def test_a_fold_that_fails_is_told_and_loses_nothing(harness: Harness) -> None:
    harness.start()
    for n in range(1, FOLD_AFTER):
        harness.recorder.append(drafts(1, first=n), token=n)
    harness.wait_for_record(FOLD_AFTER - 1)
    harness.disk.breaks_after = "database or disk is full"
    harness.recorder.append(drafts(1, first=FOLD_AFTER), Change(opens=RUNNING), token=FOLD_AFTER)
    harness.wait_for_record(FOLD_AFTER)
    wait(lambda: harness.of(JournalFailed), "that it is told")
    assert harness.of(JournalRecovered) == []
    harness.disk.broken = ""
    harness.wait_for_event(JournalRecovered())
    harness.end()
    assert harness.uids() == [f"u{n}" for n in range(1, FOLD_AFTER + 1)]


def test_an_entry_that_ends_nothing_does_not_get_the_reserve(harness: Harness) -> None:
    harness.disk.broken = "database or disk is full"
    harness.start()
    harness.recorder.append(drafts(1), token=1)
    wait(lambda: harness.pauses, "a try")
    assert harness.journal._reserve.exists()


def test_of_checkpoints_that_piled_up_only_the_newest_is_written(harness: Harness) -> None:
    harness.start()
    harness.recorder.append(drafts(1), Change(opens=RUNNING), token=1)
    harness.wait_for_record(1)
    harness.disk.hold()
    harness.recorder.append(drafts(1, first=2), token=2)
    harness.disk.held.wait()
    for ms in (1_000, 2_000, 3_000):
        harness.recorder.checkpoint("s-1", energised_ms=ms, running_ms=0, boot_ms=ms)
    harness.disk.go_on()
    harness.wait_for_event(CheckpointStored(3_000))
    harness.end()
    assert harness.of(CheckpointStored) == [CheckpointStored(3_000)]
    assert harness.recorder.checkpoint_stored_ms == 3_000
    harness.journal.open()
    found = harness.journal.open_session()
    assert found is not None
    assert found.energised_ms == 3_000


def test_a_checkpoint_and_a_mark_that_failed_are_written_once_the_disk_recovers(harness: Harness) -> None:
    harness.start()
    harness.recorder.append(drafts(3), Change(opens=RUNNING), token=1)
    harness.wait_for_record(1)
    harness.disk.broken = "disk I/O error"
    harness.recorder.checkpoint("s-1", energised_ms=1_000, running_ms=0, boot_ms=1_000)
    harness.recorder.acknowledge(2, 0)
    wait(
        lambda: harness.of(JournalFailed) and harness.recorder._queue.empty() and harness.recorder._current is None,
        "both tries",
    )
    assert harness.of(CheckpointStored) == []
    harness.disk.broken = ""
    harness.wait_for_event(CheckpointStored(1_000))
    harness.wait_for_event(EntriesStored(3, 1))
    assert harness.kept == [2]


def test_a_mark_that_is_known_is_not_written_again(harness: Harness) -> None:
    harness.start()
    harness.recorder.append(drafts(2), token=1)
    harness.recorder.acknowledge(2, 0)
    harness.wait_for_event(EntriesStored(2, 0))
    commits = harness.disk.commits
    harness.recorder.acknowledge(2, 0)
    harness.recorder.acknowledge(2, 0)
    harness.end()
    assert harness.disk.commits == commits
    assert harness.kept == [2]


def test_a_renewed_journal_is_told_with_its_head(harness: Harness) -> None:
    harness.start()
    harness.recorder.append(drafts(3), token=1)
    harness.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    harness.wait_for_event(JournalRenewed("j-new", 4))


def test_a_renewal_that_raised_and_was_durable_is_not_done_twice(harness: Harness) -> None:
    harness.start()
    harness.recorder.append(drafts(3), token=1)
    harness.wait_for_record(1)
    harness.disk.phantoms = 1
    made = []

    def first(journal: Journal) -> object:
        made.append(journal.id)
        return drafts(1, uid="f")[0]

    harness.recorder.fork("j-new", first)  # type: ignore[arg-type]
    harness.wait_for_event(JournalRenewed("j-new", 4))
    harness.end()
    assert len(made) == 1
    assert harness.uids() == ["f1", "u1", "u2", "u3"]


def test_a_renewal_that_failed_is_tried_again(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "PROBE_S", 0.01)
    harness.start()
    harness.recorder.append(drafts(1), token=1)
    harness.wait_for_record(1)
    harness.disk.broken = "disk I/O error"
    harness.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    wait(lambda: harness.of(JournalFailed), "the failure")
    harness.disk.broken = ""
    harness.wait_for_event(JournalRenewed("j-new", 2))
    harness.wait_for_event(JournalRecovered())


def test_who_waits_for_the_disk_during_a_renewal_waits_for_one_step_of_it(harness: Harness) -> None:
    harness.journal.slice = 4
    harness.recorder.append(drafts(100), token=1)
    harness.start()
    harness.wait_for_record(1)
    harness.disk.hold()
    harness.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    assert harness.disk.held.wait(20)
    before = harness.disk.commits
    for token in (2, 3):
        harness.recorder.append(drafts(1, first=100 + token), token=token)
    harness.disk.go_on()
    harness.wait_for_event(JournalRenewed("j-new", 103))
    done = [
        event
        for event in harness.posted
        if isinstance(event, JournalRenewed) or getattr(event, "token", None) in (2, 3)
    ]
    assert [getattr(event, "token", None) for event in done] == [2, 3, None], (
        "both were stored before the copying ended"
    )
    assert harness.commits_at[2] - before <= 2, "the step that was under way, and the entry itself"
    assert harness.commits_at[3] - before <= 3
    assert harness.disk.commits - before > 20
    harness.end()
    assert harness.uids() == ["f1", *(f"u{n}" for n in range(1, 101)), "u102", "u103"]


def test_what_a_renewal_leaves_is_removed_piece_by_piece(harness: Harness) -> None:
    harness.journal.slice = 4
    harness.recorder.append(drafts(100), token=1)
    harness.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    harness.start()
    harness.wait_for_event(JournalRenewed("j-new", 101))
    wait(lambda: not harness.recorder._has_background_work(), "the end of the tidying")
    harness.end()
    harness.journal.open()
    tables = {row[0] for row in harness.journal._rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"entry", "meta", "open_session", "latched"}


def test_a_stop_writes_what_is_queued(harness: Harness) -> None:
    harness.recorder.append(drafts(1), token=1)
    harness.recorder.stop()
    harness.start()
    harness.thread.join()
    assert harness.records() == [1]


def test_a_stop_gives_up_on_what_fails_with_a_line_in_the_log(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.disk.broken = "disk I/O error"
    harness.recorder.append(drafts(1), token=1)
    harness.recorder.fork("j-new", lambda _: drafts(1, uid="f")[0])
    harness.recorder.stop()
    harness.start()
    harness.thread.join()
    assert harness.records() == harness.of(JournalRenewed) == []
    assert caplog.text.count("stopping with an entry that could not be written") == 1
    assert "Traceback" not in caplog.text


def test_a_fault_nobody_foresaw_keeps_what_was_being_written_and_clears_after_a_write(harness: Harness) -> None:
    append, broken = harness.journal.append, iter([ZeroDivisionError("a bug")])

    def buggy(*arguments: object) -> int:
        for error in broken:
            raise error
        return append(*arguments)  # type: ignore[arg-type]

    harness.journal.append = buggy  # type: ignore[method-assign]
    harness.recorder.append(drafts(1), token=1)
    with pytest.raises(ZeroDivisionError):
        harness.recorder.run()
    harness.start()
    harness.wait_for_record(1)
    harness.wait_for_event(JournalRecovered())


def test_a_fault_nobody_foresaw_behind_a_record_writes_it_no_second_time(harness: Harness) -> None:
    fold, broken = harness.journal.fold, iter([MemoryError("of SQLite")])

    def greedy() -> None:
        for error in broken:
            raise error
        fold()

    harness.journal.fold = greedy  # type: ignore[method-assign]
    harness.recorder.append(drafts(2), Change(opens=RUNNING), token=1)
    harness.recorder.append(drafts(1, first=3), token=2)
    with pytest.raises(MemoryError):
        harness.recorder.run()
    harness.start()
    harness.wait_for_record(2)
    harness.wait_for_event(JournalRecovered())
    harness.end()
    assert harness.uids() == ["u1", "u2", "u3"]

"""Is the journal what it says it is: in order, durable, trimmed with care, and checked by anybody?"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate import wire
from fabgate.errors import JournalError, UsageError
from fabgate.gate.journal.files import rewrite_and_sync
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import FOLD_AFTER, RESERVE_BYTES, Change, Draft, Journal, OpenSession, open_connection
from fabgate.seal import ZERO_HASH, entry_hash, first_prev, from_text
from tests.support import disk

TOPICS = wire.GateTopics("lyon", "laser-1")
CLOCK = wire.Clock(boot="6f1c2a5e-0000-4000-8000-000000000001", boottime_ms=1, synced=True)
START = datetime(2026, 11, 24, 8, tzinfo=UTC)
SESSION = OpenSession("s-1", "m-1", "d" * 64, 7, 0, 0, "boot", 1000, 90_000)


def refused(*, time: datetime | None = START, size: int = 1) -> Draft:
    data = wire.AccessRefused(clock=CLOCK, badge="b" * 64, reasons=["training-missing"] * size)
    return Draft(uuid7(), "access.refused", data, time)


def started(session: str = "s-1") -> Draft:
    data = wire.SessionStarted(
        clock=CLOCK, session=session, member="m-1", badge="d" * 64, basis=wire.Basis(kind="grant"), mode="tap"
    )
    return Draft(uuid7(), "session.started", data, START)


def ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.db", TOPICS)
    made.open()
    yield made
    made.close()


@pytest.fixture
def reader(journal: Journal) -> Iterator[JournalReader]:
    made = JournalReader(journal.path)
    yield made
    made.close()


def uids(path: Path) -> list[str]:
    view = JournalReader(path)
    found = [wire.decode_entry(entry.body).uid for entry in view.after(0, most=1000)]
    view.close()
    return found


def sql(path: Path, *statements: str) -> None:
    db = open_connection(str(path))
    for statement in statements:
        db.execute(statement)
    db.close()


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_new_journal_has_a_random_id_and_nothing_in_it(tmp_path):
    one, two = (Journal(tmp_path / name / "journal.db", TOPICS) for name in ("a", "b"))
    for made in (one, two):
        made.path.parent.mkdir()
        made.open()
        assert made.is_new
        assert (made.head, made.mark, made.floor, made.unacknowledged) == (0, 0, 1, 0)
        assert made.anchor == (0, first_prev(made.id))
        assert made.open_session() is None
        assert made.latched() == frozenset()
        assert made.last_time_ms() is None
        made.close()
    assert one.id != two.id


def test_an_old_journal_is_found_as_it_was_left(journal):
    journal.append([started(), refused()], Change(opens=SESSION, latch=frozenset({"danger"})))
    journal.checkpoint("s-1", energised_ms=30_000, running_ms=1000, boot_ms=31_000)
    journal.acknowledge(1)
    journal.close()
    again = Journal(journal.path, TOPICS)
    again.open()
    assert not again.is_new
    assert (again.id, again.head, again.mark, again.unacknowledged) == (journal.id, 2, 1, 1)
    opened = again.open_session()
    assert opened is not None
    assert (opened.energised_ms, opened.running_ms, opened.boot_ms, opened.slack_ms) == (30_000, 1000, 31_000, 90_000)
    assert again.latched() == {"danger"}
    assert again.append([refused()]) == 3
    again.close()


def test_another_gates_journal_is_refused_and_says_what_to_do(journal):
    journal.close()
    other = Journal(journal.path, wire.GateTopics("lyon", "saw"))
    with pytest.raises(JournalError, match=r"belongs to lyon/laser-1, the configuration says lyon/saw.*fabgate rename"):
        other.open()


def test_a_journal_of_another_schema_is_refused(journal):
    journal.close()
    sql(journal.path, "UPDATE meta SET value = 99 WHERE key = 'schema'")
    with pytest.raises(JournalError, match="found a journal of schema 99, wanted 1"):
        journal.open()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_file_is_an_error_and_is_left_as_it_is(content, tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"journal\.db: the journal cannot be opened"):
        Journal(path, TOPICS).open()
    with pytest.raises(JournalError, match="cannot be read"):
        JournalReader(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "spoil",
    [
        "DELETE FROM meta WHERE key = 'journal'",
        "UPDATE meta SET value = 'abc' WHERE key = 'mark'",
        "UPDATE meta SET value = 'text' WHERE key = 'anchor_hash'",
    ],
)
def test_a_damaged_meta_table_is_an_error_and_no_traceback(spoil, journal):
    journal.close()
    sql(journal.path, spoil)
    with pytest.raises(JournalError, match="not a journal, or is damaged"):
        journal.open()


def test_what_a_journal_left_behind_is_not_played_into_the_next_one(journal):
    journal.append([refused(), refused()])
    old = journal.id
    put_aside = journal.path.with_name("journal.old")
    left = {end: journal.path.with_name(f"journal.db{end}").read_bytes() for end in ("-wal", "-shm")}
    journal.close()
    journal.path.rename(put_aside)
    for end, content in left.items():
        journal.path.with_name(f"journal.db{end}").write_bytes(content)
    journal.open()
    assert journal.is_new
    assert journal.id != old
    assert journal.head == 0
    assert journal.append([refused()]) == 1


def test_another_programs_database_is_no_journal(tmp_path):
    sql(tmp_path / "journal.db", "CREATE TABLE song (title TEXT)")
    with pytest.raises(JournalError, match=r"not a journal, or is damaged.*Move it away"):
        Journal(tmp_path / "journal.db", TOPICS).open()


def test_a_reader_of_a_file_without_meta_says_so(journal):
    journal.close()
    sql(journal.path, "DELETE FROM meta")
    with pytest.raises(JournalError, match="not a journal, or is damaged"):
        JournalReader(journal.path)


def test_a_reader_finds_a_path_with_any_character(tmp_path):
    folder = tmp_path / "a %41?#b"
    folder.mkdir()
    made = Journal(folder / "journal.db", TOPICS)
    made.append([refused()])
    view = JournalReader(made.path)
    assert view.bounds() == (1, 1, 0)
    view.close()
    made.close()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "none" / "journal.db", TOPICS).open()
    with pytest.raises(JournalError, match="cannot be read"):
        JournalReader(tmp_path / "none" / "journal.db")


def test_the_directory_is_synced_once_the_file_is_there(tmp_path):
    seen = []

    def look(path: Path) -> None:
        seen.append(sorted(entry.name for entry in path.iterdir()))

    made = Journal(tmp_path / "journal.db", TOPICS, sync_directory=look)
    made.open()
    made.append([refused()])
    made.close()
    assert seen == [["journal.db", "journal.db-shm", "journal.db-wal"]]


def test_a_directory_that_cannot_be_synced_is_an_error(tmp_path):
    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(JournalError, match="Input/output error"):
        Journal(tmp_path / "journal.db", TOPICS, sync_directory=fail).open()


def test_writing_back_changes_no_byte_and_needs_no_file(tmp_path):
    path = tmp_path / "wal"
    rewrite_and_sync(path)
    assert not path.exists()
    path.write_bytes(b"x" * 10_000)
    rewrite_and_sync(path)
    assert path.read_bytes() == b"x" * 10_000


def test_the_wal_of_a_killed_process_is_written_back_before_it_is_read(journal):
    journal.append([refused()])
    seen = []
    again = Journal(journal.path, TOPICS, write_back=lambda path: seen.append((path.name, path.stat().st_size > 0)))
    again.open()
    assert seen == [("journal.db-wal", True)]
    again.close()


# --- writing ----------------------------------------------------------------------------------------------------------


def test_entries_are_numbered_chained_and_stored_as_they_are_published(journal, reader):
    drafts = [started(), refused(time=None)]
    assert journal.append(drafts[:1]) == 1
    assert journal.append(drafts[1:]) == 2
    entries = reader.after(0, most=10)
    assert [entry.seq for entry in entries] == [1, 2]
    assert [entry.type for entry in entries] == ["session.started", "access.refused"]
    first, second = (wire.decode_entry(entry.body) for entry in entries)
    assert (first.uid, first.time, first.journal) == (drafts[0].uid, START, journal.id)
    assert second.time is wire.UNSET
    assert wire.decode_data(first) == drafts[0].data
    assert from_text(first.prev) == first_prev(journal.id)
    assert from_text(second.prev) == entry_hash(entries[0].body)


def test_the_same_drafts_again_after_an_error_are_written_once(tmp_path):
    """The commit became durable and raised all the same: a phantom."""

    class Phantom:
        raises = False

        def __init__(self, path: str) -> None:
            self.db = open_connection(path)

        def execute(self, statement: str, values: Any = ()) -> Any:
            found = self.db.execute(statement, values)
            if statement == "COMMIT" and Phantom.raises:
                Phantom.raises = False
                raise sqlite3.OperationalError("disk I/O error")
            return found

        def close(self) -> None:
            self.db.close()

    made = Journal(tmp_path / "journal.db", TOPICS, connect=Phantom)
    made.append([refused()])
    drafts = [started(), refused()]
    Phantom.raises = True
    with pytest.raises(JournalError, match=r"cannot be written .disk I/O error"):
        made.append(drafts, Change(opens=SESSION))
    assert made.append(drafts, Change(opens=SESSION)) == 3
    assert made.open_session() == SESSION
    assert made.append([refused()]) == 4
    # The same for the other writes.
    for write in (
        lambda: made.acknowledge(3),
        lambda: made.checkpoint("s-1", energised_ms=5, running_ms=5, boot_ms=5),
        lambda: made.trim(before_ms=0, most=2),
    ):
        Phantom.raises = True
        with pytest.raises(JournalError):
            write()
        write()
    # The anchor moved unseen: a mark below it is read as the anchor.
    Phantom.raises = True
    with pytest.raises(JournalError):
        made.trim(before_ms=0, most=1)
    made.acknowledge(1)
    assert (made.anchor[0], made.mark) == (3, 3)
    made.close()
    assert len(uids(made.path)) == 1


def test_a_draft_that_is_too_large_is_refused_and_leaves_nothing(journal):
    journal.append([refused()])
    with pytest.raises(UsageError, match="wanted at most 32768"):
        journal.append([refused(), refused(size=3000)], Change(opens=SESSION))
    assert journal.head == 1
    assert journal.open_session() is None
    assert journal.append([refused()]) == 2


def test_a_change_without_an_entry_is_made_also_after_the_file_was_opened(journal):
    journal.append([], Change(latch=frozenset({"danger"})))
    assert journal.latched() == {"danger"}
    journal.append([], Change(unlatch=frozenset({"danger"}), lock="locked"))
    assert journal.latched() == frozenset()
    assert journal.lock() == "locked"
    assert journal.head == 0


def test_a_handover_closes_one_session_and_opens_the_next(journal):
    journal.append([started()], Change(opens=SESSION))
    following = OpenSession("s-2", "m-2", "e" * 64, 7, 0, 0, "boot", 2000, 90_000)
    journal.append([started("s-2")], Change(opens=following, closes=frozenset({"s-1"})))
    assert journal.open_session() == following
    journal.append([refused()], Change(closes=frozenset({"s-1"})))
    assert journal.open_session() == following, "the end of another session closes nothing"
    journal.append([refused()], Change(closes=frozenset({"s-2"})))
    assert journal.open_session() is None


def test_a_checkpoint_of_a_session_that_is_not_open_changes_nothing(journal):
    journal.append([started()], Change(opens=SESSION))
    journal.checkpoint("s-9", energised_ms=1, running_ms=1, boot_ms=1)
    assert journal.open_session() == SESSION


def test_recent_entries_of_a_type_come_newest_first(journal):
    drafts = [refused(), started(), refused(), refused()]
    journal.append(drafts)
    found = [wire.decode_entry(body).uid for body in journal.recent("access.refused", most=2)]
    assert found == [drafts[3].uid, drafts[2].uid]


def test_a_fold_brings_the_wal_into_the_file_once_it_is_worth_it(journal, tmp_path):
    written = [refused() for _ in range(FOLD_AFTER)]
    for draft in written[:-1]:
        journal.append([draft])
    journal.fold()
    assert _without_its_wal(journal, tmp_path) == []
    journal.append(written[-1:])
    journal.fold()
    assert _without_its_wal(journal, tmp_path) == [draft.uid for draft in written]


def test_what_a_reader_keeps_from_being_folded_is_folded_later(journal, tmp_path):
    journal.append([refused()])
    looking = open_connection(str(journal.path))
    looking.execute("BEGIN")
    looking.execute("SELECT count(*) FROM entry").fetchone()
    written = [refused() for _ in range(2 * FOLD_AFTER)]
    for draft in written[:FOLD_AFTER]:
        journal.append([draft])
    journal.fold()
    assert _without_its_wal(journal, tmp_path) == []
    looking.close()
    for draft in written[FOLD_AFTER:]:
        journal.append([draft])
    journal.fold()
    assert _without_its_wal(journal, tmp_path)[1:] == [draft.uid for draft in written]


def _without_its_wal(journal: Journal, folder: Path) -> list[str]:
    """The uids that the file has by itself."""
    copy = folder / "copy" / "journal.db"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(journal.path, copy)
    return uids(copy)


def test_two_writers_cannot_share_a_number(journal):
    other = Journal(journal.path, TOPICS)
    other.open()
    journal.append([refused()])
    with pytest.raises(JournalError):
        other.append([refused()])
    assert other.append([refused()]) == 2
    other.close()
    view = JournalReader(journal.path)
    assert view.first_break() is None
    view.close()


# --- the mark and the trim --------------------------------------------------------------------------------------------


def test_the_mark_moves_forwards_and_back_but_not_beyond_what_is_there(journal, reader):
    journal.append([refused() for _ in range(5)])
    for asked, mark in ((4, 4), (2, 2), (9, 5), (0, 0)):
        journal.acknowledge(asked)
        assert journal.mark == mark
        assert reader.bounds() == (1, 5, mark)
    assert journal.unacknowledged == 5


def test_copies_of_what_was_confirmed_before_a_renewal_wait_for_nobody(journal):
    journal.append([refused() for _ in range(6)])
    journal.acknowledge(4)
    journal.renew("j2", refused())
    assert (journal.head, journal.mark, journal.unacknowledged) == (7, 0, 1 + 2)
    journal.append([refused()])
    for mark, unacknowledged in ((1, 3), (3, 3), (5, 3), (6, 2), (8, 0), (0, 4)):
        journal.acknowledge(mark)
        assert journal.unacknowledged == unacknowledged
    journal.close()
    journal.open()
    assert journal.unacknowledged == 4
    journal.acknowledge(7)
    journal.renew("j3", refused())
    assert (journal.head, journal.unacknowledged) == (9, 1 + 1)


def test_copies_of_what_was_confirmed_are_kept_until_it_is_confirmed_again(journal, reader):
    journal.append([refused() for _ in range(6)])
    journal.acknowledge(6)
    journal.renew("j2", refused())
    assert journal.trim(before_ms=1 << 60, most=1) == 0
    journal.acknowledge(3)
    assert journal.trim(before_ms=0, most=1) == 3
    assert reader.bounds() == (4, 7, 3)
    assert journal.unacknowledged == 0
    journal.append([refused()])
    assert journal.unacknowledged == 1


def test_a_trim_leaves_an_anchor_and_never_takes_what_is_not_acknowledged(journal, reader):
    journal.append([refused() for _ in range(6)])
    before = reader.hash_at(3)
    assert journal.trim(before_ms=ms(START) + 1, most=0) == 0
    journal.acknowledge(3)
    assert journal.trim(before_ms=ms(START) + 1, most=0) == 3
    assert journal.anchor == (3, before)
    assert reader.bounds() == (4, 6, 3)
    assert reader.hash_at(3) == before
    assert reader.hash_at(2) is None
    assert reader.first_break() is None
    assert journal.trim(before_ms=ms(START) + 1, most=0) == 0
    journal.acknowledge(1)
    assert journal.mark == 3, "the mark never lies below the anchor"


def test_a_trim_by_number_takes_the_oldest_and_keeps_so_many(journal, reader):
    journal.append([refused() for _ in range(6)])
    journal.acknowledge(6)
    assert journal.trim(before_ms=0, most=4) == 2
    assert reader.bounds() == (3, 6, 6)


def test_everything_can_be_trimmed_and_the_numbers_go_on(journal, reader):
    journal.append([refused(), refused()])
    journal.acknowledge(2)
    assert journal.trim(before_ms=0, most=0) == 2
    assert reader.bounds() == (3, 2, 2)
    assert journal.floor == 3
    journal.close()
    journal.open()
    assert journal.append([refused()]) == 3
    assert reader.first_break() is None


def test_a_trim_by_age_stops_at_the_first_entry_that_is_young(journal):
    days = [0, 1, 2, 1, 5]
    journal.append([refused(time=START + timedelta(days=day)) for day in days])
    journal.acknowledge(5)
    assert journal.trim(before_ms=ms(START + timedelta(days=2)), most=100) == 2


def test_an_entry_without_a_time_is_as_old_as_the_next_one_that_has_one(journal):
    times = [None, START, None, None, START + timedelta(days=1), None, START + timedelta(days=9), None]
    journal.append([refused(time=time) for time in times])
    journal.acknowledge(8)
    assert journal.trim(before_ms=ms(START + timedelta(days=2)), most=100) == 5
    assert journal.trim(before_ms=ms(START + timedelta(days=99)), most=100) == 2
    assert journal.floor == 8


def test_the_latest_time_on_record_is_known(journal):
    times = [START, None, START + timedelta(hours=2), START + timedelta(hours=1)]
    journal.append([refused(time=time) for time in times])
    assert journal.last_time_ms() == ms(START + timedelta(hours=2))


# --- another journal for the same facts -------------------------------------------------------------------------------


def test_a_renewed_journal_copies_every_entry_that_is_kept_and_names_its_first_original(journal):
    drafts = [refused(time=None), started(), refused()]
    journal.append(drafts, Change(opens=SESSION))
    journal.acknowledge(1)
    journal.trim(before_ms=0, most=2)
    old = journal.id
    view = JournalReader(journal.path)
    originals = {entry.seq: entry_hash(entry.body) for entry in view.after(0, most=9)}
    view.close()
    for name in ("new", "newer"):
        data = wire.JournalForked(clock=CLOCK, journal=journal.id, floor=2, head=3, mark=1)
        first = Draft(uuid7(), "journal.forked", data, START)
        head = journal.renew(name, first)
        assert journal.renew(name, first) == head, "again, it is done already"
    view = JournalReader(journal.path)
    assert (view.id, view.bounds()) == ("newer", (1, 4, 0))
    assert view.first_break() is None
    copies = [wire.decode_entry(entry.body) for entry in view.after(0, most=9)]
    view.close()
    assert [copy.uid for copy in copies][2:] == [drafts[1].uid, drafts[2].uid]
    # The first renewal copied 2 and 3 to 2 and 3; the second its journal.forked too.
    assert [str(copy.copyof).split("/")[:2] for copy in copies[1:]] == [["new", "1"], [old, "2"], [old, "3"]]
    assert [from_text(str(copy.copyof).split("/", 2)[2]) for copy in copies[2:]] == [originals[2], originals[3]]
    assert [wire.decode_data(copy) for copy in copies[2:]] == [drafts[1].data, drafts[2].data]
    assert journal.open_session() == SESSION
    assert journal.append([refused()]) == 5


def test_what_is_written_while_a_journal_is_renewed_is_copied_too(journal):
    journal.slice = 2
    journal.append([refused() for _ in range(5)])
    first = Draft(
        uuid7(), "journal.forked", wire.JournalForked(clock=CLOCK, journal=journal.id, floor=1, head=5, mark=0), START
    )
    while not journal.renew_some("new", first):
        if journal.head < 9:
            journal.append([refused()], Change(opens=SESSION, latch=frozenset({"danger"})))
    assert (journal.id, journal.head, journal.mark, journal.unacknowledged) == ("new", 10, 0, 10)
    with contextlib.closing(JournalReader(journal.path)) as view:
        assert view.first_break() is None
        assert len({wire.decode_entry(entry.body).uid for entry in view.after(0, most=99)}) == 10
    assert journal.open_session() == SESSION
    assert journal.trim(before_ms=0, most=2) == 0


def test_a_renewal_that_a_restart_ended_changes_nothing_and_begins_again_under_another_name(journal):
    journal.slice = 2
    before = [refused() for _ in range(9)]
    journal.append(before)
    data = wire.JournalForked(clock=CLOCK, journal=journal.id, floor=1, head=9, mark=0)
    one, two = (Draft(uuid7(), "journal.forked", data, START) for _ in range(2))
    old = journal.id
    for _ in range(3):
        assert not journal.renew_some("new", one)
    journal.close()
    again = Journal(journal.path, TOPICS)
    again.open()
    assert (again.id, again.head) == (old, 9)
    assert uids(again.path) == [draft.uid for draft in before]
    assert again.has_leftovers
    assert again.renew("newer", two) == 10
    assert uids(again.path) == [two.uid, *(draft.uid for draft in before)]
    while again.has_leftovers:
        again.tidy_some()
    again.close()


# --- the reader -------------------------------------------------------------------------------------------------------


def test_a_reader_sees_what_was_written_after_it_was_opened_page_by_page(journal, reader):
    drafts = [refused() for _ in range(5)]
    journal.append(drafts)
    assert [entry.seq for entry in reader.after(0, most=2)] == [1, 2]
    assert [entry.seq for entry in reader.after(2, most=9)] == [3, 4, 5]
    assert reader.after(5, most=9) == []
    assert (reader.id, reader.topics) == (journal.id, TOPICS)


def test_hashes_are_known_for_nothing_for_entries_and_for_the_anchor_only(journal, reader):
    journal.append([refused(), refused()])
    assert reader.hash_at(0) == ZERO_HASH
    assert reader.hash_at(2) == entry_hash(reader.after(1, most=1)[0].body)
    assert reader.hash_at(3) is None


def test_a_reader_works_in_another_thread_while_the_writer_trims(journal):
    journal.append([refused() for _ in range(600)])
    journal.acknowledge(600)
    found: list[object] = []

    def check() -> None:
        view = JournalReader(journal.path)
        found.extend(view.first_break() for _ in range(20))
        view.close()

    thread = threading.Thread(target=check)
    thread.start()
    for most in range(600, 0, -10):
        journal.trim(before_ms=0, most=most)
    thread.join()
    assert found == [None] * 20


def test_a_reader_of_a_file_that_broke_says_so(journal):
    journal.append([refused()])
    journal.close()
    view = JournalReader(journal.path)
    sql(journal.path, "DROP TABLE entry")
    for ask in (lambda: view.after(0, most=1), view.bounds, lambda: view.hash_at(1), view.first_break):
        with pytest.raises(JournalError, match="cannot be read"):
            ask()
    view.close()


COUNT = 8


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of eight entries, the first two trimmed away."""
    made = Journal(tmp_path_factory.mktemp("written") / "journal.db", TOPICS)
    made.append([refused(time=None if number == 4 else START) for number in range(COUNT + 2)])
    made.acknowledge(2)
    made.trim(before_ms=0, most=COUNT)
    made.acknowledge(COUNT + 2)
    made.close()
    view = JournalReader(made.path)
    assert view.first_break() is None
    view.close()
    return made.path


def _flip(data: bytes, position: int, bit: int) -> bytes:
    at = position % len(data)
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


Rows = dict[int, tuple[Any, ...]]


def _edit(db: sqlite3.Connection, rows: Rows, n: int, position: int, bit: int) -> None:
    body = _flip(rows[n][5], position, bit)
    # Nothing follows the last one: there only its own hash tells.
    digest = rows[n][4] if n == COUNT + 2 else entry_hash(body)
    db.execute("UPDATE entry SET body = ?, hash = ? WHERE seq = ?", (body, digest, n))


def _edit_hash(db: sqlite3.Connection, rows: Rows, n: int, position: int, bit: int) -> None:
    db.execute("UPDATE entry SET hash = ? WHERE seq = ?", (_flip(rows[n][4], position, bit), n))


def _edit_column(db: sqlite3.Connection, rows: Rows, n: int, name: str) -> None:
    db.execute(f"UPDATE entry SET {name} = 'gate.started' WHERE seq = ?", (n,))


def _shorten(db: sqlite3.Connection, rows: Rows, n: int, keep: int) -> None:
    db.execute("UPDATE entry SET body = ? WHERE seq = ?", (rows[n][5][:keep], n))


def _delete(db: sqlite3.Connection, rows: Rows, n: int) -> None:
    db.execute("DELETE FROM entry WHERE seq = ?", (n,))


def _delete_and_close_up(db: sqlite3.Connection, rows: Rows, n: int) -> None:
    _delete(db, rows, n)
    for later in range(n + 1, COUNT + 3):
        db.execute("UPDATE entry SET seq = ? WHERE seq = ?", (later - 1, later))


def _insert(db: sqlite3.Connection, rows: Rows, n: int) -> None:
    for later in range(COUNT + 2, n - 1, -1):
        db.execute("UPDATE entry SET seq = ? WHERE seq = ?", (later + 1, later))
    db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", (n, "new", *rows[n][2:]))


def _copy_over(db: sqlite3.Connection, rows: Rows, n: int, other: int) -> None:
    db.execute("REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)", (n, *rows[other][1:]))


def _swap(db: sqlite3.Connection, rows: Rows, n: int, other: int) -> None:
    _copy_over(db, rows, n, other)
    _copy_over(db, rows, other, n)


def _cut_off(db: sqlite3.Connection, rows: Rows, n: int) -> None:
    db.execute("DELETE FROM entry WHERE seq >= ?", (n,))


def _edit_anchor(db: sqlite3.Connection, rows: Rows, n: int, position: int, bit: int) -> None:
    digest = db.execute("SELECT value FROM meta WHERE key = 'anchor_hash'").fetchone()[0]
    db.execute("UPDATE meta SET value = ? WHERE key = 'anchor_hash'", (_flip(digest, position, bit),))


numbers = st.integers(3, COUNT + 2)
bits = st.integers(0, 7)
tampering = st.one_of(
    st.tuples(st.just(_edit), numbers, st.integers(0, 9999), bits),
    st.tuples(st.just(_edit_hash), numbers, st.integers(0, 31), bits),
    st.tuples(st.just(_edit_column), numbers, st.sampled_from(["uid", "type"])),
    st.tuples(st.just(_shorten), numbers, st.integers(0, 200)),
    st.tuples(st.sampled_from([_delete, _delete_and_close_up, _insert, _cut_off]), numbers),
    st.tuples(st.sampled_from([_swap, _copy_over]), numbers, numbers).filter(lambda what: what[1] != what[2]),
    st.tuples(st.just(_edit_anchor), st.just(3), st.integers(0, 31), bits),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(what=tampering)
def test_any_edit_deletion_insertion_or_swap_is_found(written, tmp_path, what):
    path = tmp_path / "journal.db"
    shutil.copy(written, path)
    tamper, first, *how = what
    db = open_connection(str(path))
    tamper(db, {row[0]: row for row in db.execute("SELECT * FROM entry")}, first, *how)
    db.close()
    view = JournalReader(path)
    broken = view.first_break()
    view.close()
    assert broken is not None
    if tamper is _swap:
        first = min(first, *how)
    assert first <= broken <= first + 1, "it is seen there, or at the entry that should follow"


def test_what_no_collector_has_seen_can_be_cut_off_the_end_unseen(journal, reader):
    """The limit of a chain, so that nobody relies on more."""
    journal.append([refused(), refused()])
    sql(journal.path, "DELETE FROM entry WHERE seq = 2")
    assert reader.first_break() is None
    sql(journal.path, "UPDATE meta SET value = 2 WHERE key = 'mark'")
    assert reader.first_break() == 2


def test_a_body_of_another_type_or_that_is_no_entry_is_a_break_and_no_crash(journal, reader):
    journal.append([refused(), refused()])
    for spoil in ("'text'", "x'00'", "12", "CAST(body AS TEXT) || ' '", "zeroblob(10)"):
        sql(journal.path, f"UPDATE entry SET body = {spoil} WHERE seq = 1")
        assert reader.first_break() == 1


# --- disks that are full, small or read-only --------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path / "small", RESERVE_BYTES // 1024 + 384) as folder:
        yield folder


def _fill(made: Journal) -> int:
    """Append until nothing goes in any more; return the number of the last that did."""
    head = made.head
    while True:
        try:
            head = made.append([refused(size=1000)])
        except JournalError:
            return head


def test_on_a_full_disk_nothing_is_lost_and_the_freed_reserve_lets_the_last_entry_in(small_disk):
    made = Journal(small_disk / "journal.db", TOPICS)
    made.append([started()], Change(opens=SESSION))
    made.keep_reserve()
    made.keep_reserve()
    reserve = small_disk / "reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    head = _fill(made)
    last = refused()
    with pytest.raises(JournalError, match=r"cannot be (written|opened)"):
        made.append([refused(size=1500)])
    assert made.free_reserve()
    assert not made.free_reserve()
    assert made.append([last], Change(closes=frozenset({"s-1"}))) == head + 1
    assert made.open_session() is None
    _fill(made)
    with pytest.raises(JournalError, match="no room for the reserve"):
        made.keep_reserve()
    assert sorted(path.name for path in small_disk.iterdir() if "reserve" in path.name) == []
    made.close()
    view = JournalReader(made.path)
    assert view.first_break() is None
    assert last.uid in uids(made.path)
    view.close()


def test_a_journal_that_has_no_room_to_be_made_can_be_made_once_there_is(small_disk):
    filler = disk.fill(small_disk)
    made = Journal(small_disk / "journal.db", TOPICS)
    with pytest.raises(JournalError, match="Check that the disk is not full and not read-only"):
        made.open()
    filler.unlink()
    assert made.append([refused()]) == 1
    made.close()


def test_a_read_only_disk_is_an_error_and_works_again_when_it_can_be_written(small_disk):
    made = Journal(small_disk / "journal.db", TOPICS)
    made.append([refused()])
    made.close()

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_disk)], check=True)

    remount("ro")
    with pytest.raises(JournalError, match="not read-only"):
        made.open()
    with pytest.raises(JournalError, match="Read-only file system"):
        made.keep_reserve()
    assert not made.free_reserve()
    remount("rw")
    assert made.append([refused()]) == 2
    made.close()


def test_a_folder_without_permission_is_an_error(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "journal.db", TOPICS).open()
    tmp_path.chmod(0o700)


def test_a_reserve_that_cannot_even_be_looked_for_is_an_error_of_the_journal(tmp_path):
    (tmp_path / "file").write_text("no folder")
    made = Journal(tmp_path / "journal.db", TOPICS, reserve=Path("/" + "x" * 300))
    with pytest.raises(JournalError, match="no room for the reserve"):
        made.keep_reserve()

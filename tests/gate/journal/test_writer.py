"""Writing entries, the mark, and trimming."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from fabgate import wire
from fabgate.errors import JournalError, UsageError
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import FOLD_AFTER, Change, Journal, OpenSession, open_connection
from fabgate.seal import entry_hash, first_prev, from_text
from tests.gate.journal.journals import SESSION, START, TOPICS, ms, refused, started, uids

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
    assert second.time is UNSET
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

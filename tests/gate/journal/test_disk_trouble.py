"""Disks that are full, small or read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.errors import JournalError
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import RESERVE_BYTES, Change, Journal
from tests.gate.journal.journals import SESSION, TOPICS, refused, started, uids
from tests.support import disk


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

"""Which WAL belongs to which main file? None is lost with its name, none is played into another file, none is deleted."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.errors import JournalError
from fabgate.gate.journal.files import PUT_BACK_TRIES
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Change, Journal
from tests.gate.journal.journals import SESSION, TOPICS, refused, started, uids

_FOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
db.close()
"""


def wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def killed(path: Path, into: Path) -> Path:
    """Copy what a kill would leave; return the main file."""
    into.mkdir()
    for file in (path, wal(path)):
        if file.exists():
            subprocess.run(["cp", str(file), str(into / file.name)], check=True)  # this process would lose its locks
    return into / path.name


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    (tmp_path / "state").mkdir()
    made = Journal(tmp_path / "state" / "journal.db", TOPICS)
    made.append([refused() for _ in range(3)])
    yield made
    made.close()


def aside(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("journal-aside-*"))


def touch_and_remove_wal(path: Path) -> None:
    os.utime(path, (1, 1))
    wal(path).unlink()


def fold_elsewhere_and_remove_wal(path: Path) -> None:
    subprocess.run([sys.executable, "-c", _FOLD, str(path)], check=True)
    wal(path).unlink()


@pytest.mark.parametrize("strike", [touch_and_remove_wal, fold_elsewhere_and_remove_wal])
def test_a_removed_wal_is_saved_although_the_main_file_was_written_too(journal, tmp_path, strike):
    journal.fold(at_least=1)
    more = [refused() for _ in range(3)]
    journal.append(more)
    before, name = uids(killed(journal.path, tmp_path / "before")), journal.id
    strike(journal.path)
    draft = refused()
    journal.append([draft])
    assert uids(killed(journal.path, tmp_path / "after")) == [*before, draft.uid]
    assert (journal.id, aside(journal.path)) == (name, [])


def test_a_file_that_was_written_over_and_lost_its_wal_is_put_aside(journal, tmp_path):
    other = Journal(tmp_path / "other.db", TOPICS)
    other.append([refused() for _ in range(5)])
    other.close()
    subprocess.run(["cp", str(other.path), str(journal.path)], check=True)
    wal(journal.path).unlink()
    with pytest.raises(JournalError, match="wrote over the file"):
        journal.append([refused()])
    journal.append([refused()])
    assert journal.head == 1
    assert len(aside(journal.path)) == 1


def test_a_wal_that_cannot_be_folded_into_a_file_that_was_moved_away_is_kept(tmp_path):
    (tmp_path / "state").mkdir()

    def connect(path: str) -> Any:
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)

    with contextlib.closing(Journal(tmp_path / "state" / "journal.db", TOPICS, connect=connect)) as journal:
        journal.append([refused()])
        with contextlib.closing(sqlite3.connect(journal.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM entry").fetchall()  # it holds the WAL where it is
            more = refused()
            journal.append([more])
            away = tmp_path / "away.db"
            journal.path.rename(away)
            for _ in range(PUT_BACK_TRIES):
                with pytest.raises(JournalError):
                    journal.append([refused()])
            journal.append([refused()])
        (kept,) = aside(journal.path)
        (journal.path.parent / kept).rename(tmp_path / "away.db-wal")
    assert uids(away)[-1] == more.uid


@pytest.mark.parametrize("runs", [False, True])
def test_a_link_in_place_of_the_journal_is_refused_and_nothing_is_lost(journal, tmp_path, runs):
    before = uids(killed(journal.path, tmp_path / "before"))
    target = tmp_path / "target.db"
    journal.path.rename(target)
    journal.path.symlink_to(target)
    if not runs:
        # A kill leaves the WAL where it was.
        journal.path.unlink()
        path = killed(target, tmp_path / "killed")
        shutil.copy(wal(journal.path), wal(path))
        (tmp_path / "linked").mkdir()
        link = tmp_path / "linked" / "journal.db"
        link.symlink_to(path)
        shutil.copy(wal(path), wal(link))
        with pytest.raises(JournalError, match="found a link to"):
            Journal(link, TOPICS).open()
        link.unlink()
        path.rename(link)
        with contextlib.closing(Journal(link, TOPICS)) as opened:
            opened.open()
            assert uids(killed(link, tmp_path / "after")) == before
        return
    for _ in range(PUT_BACK_TRIES):
        with pytest.raises(JournalError, match="moved, removed or replaced"):
            journal.append([refused()])
    with pytest.raises(JournalError, match="found a link to"):
        journal.append([refused()])
    journal.path.unlink()
    target.rename(journal.path)
    draft = refused()
    journal.append([draft])
    assert uids(killed(journal.path, tmp_path / "after")) == [*before, draft.uid]


def test_a_link_to_nothing_is_not_replaced_by_a_new_journal(tmp_path):
    path = tmp_path / "journal.db"
    path.symlink_to(tmp_path / "not mounted" / "journal.db")
    with pytest.raises(JournalError, match="found a link to"):
        Journal(path, TOPICS).open()
    assert path.is_symlink()


def test_the_wal_of_a_file_that_was_moved_away_before_the_start_can_be_put_back_with_it(journal, tmp_path):
    journal.fold(at_least=1)
    draft = refused()
    journal.append([draft])
    path = killed(journal.path, tmp_path / "killed")
    path.rename(tmp_path / "away.db")
    with contextlib.closing(Journal(path, TOPICS)) as new:
        new.append([refused()])
        assert (new.is_new, new.head) == (True, 1)
    (kept,) = aside(path)
    (path.parent / kept).rename(tmp_path / "away.db-wal")
    assert uids(tmp_path / "away.db")[-1] == draft.uid


def test_the_wal_of_the_journal_that_an_older_copy_replaced_is_not_played_into_the_copy(journal, tmp_path):
    assert journal.fold_all()
    older = killed(journal.path, tmp_path / "older")
    wanted = uids(killed(journal.path, tmp_path / "seen"))
    journal.append([refused() for _ in range(30)])
    assert journal.fold_all()
    journal.append([refused() for _ in range(5)])
    path = killed(journal.path, tmp_path / "killed")
    older.rename(path)  # from a backup that has the main file alone
    with contextlib.closing(Journal(path, TOPICS)) as restored:
        draft = refused()
        restored.append([draft])
        with contextlib.closing(JournalReader(path)) as reader:
            assert reader.first_break() is None
        assert uids(killed(path, tmp_path / "after")) == [*wanted, draft.uid]
    assert [name.endswith("-wal") for name in aside(path)] == [True]


def test_what_to_do_with_a_file_that_is_no_database_is_not_to_look_at_the_disk(tmp_path):
    path = tmp_path / "journal.db"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(JournalError, match="damaged: move it away"):
        Journal(path, TOPICS).open()


_STEPS: dict[str, Callable[[Journal], object]] = {
    "append": lambda journal: journal.append([refused() for _ in range(4)]),
    "start": lambda journal: journal.append([started()], Change(opens=SESSION)),
    "fold": lambda journal: journal.fold(at_least=1),
    "fold all": lambda journal: journal.fold_all(),
    "confirm": lambda journal: journal.acknowledge(journal.head),
    "trim": lambda journal: journal.trim(before_ms=0, most=2),
    "keep the newest": lambda journal: journal.keep_newest(3),
    "renew": lambda journal: journal.renew(uuid7().replace("-", ""), refused()),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(_STEPS)), min_size=1, max_size=12))
def test_no_journals_own_wal_is_taken_for_anothers_after_a_kill(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("kill")
    with contextlib.closing(Journal(folder / "journal.db", TOPICS)) as journal:
        journal.open()
        for step in steps:
            _STEPS[step](journal)
        path = killed(journal.path, folder / "killed")
        with contextlib.closing(Journal(path, TOPICS)) as opened:
            opened.open()
            assert (opened.id, opened.head, opened.anchor) == (journal.id, journal.head, journal.anchor)
        assert aside(path) == []
    shutil.rmtree(folder)

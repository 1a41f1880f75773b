"""Opening and making the journal's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.journal.files import rewrite_and_sync
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Change, Journal
from fabgate.seal import first_prev
from tests.gate.journal.journals import SESSION, TOPICS, refused, sql, started


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


@pytest.mark.parametrize("schema", [1, 99])
def test_a_journal_of_another_schema_is_refused(journal, schema):
    """Commits before the release of 0.1.0 wrote 1."""
    journal.close()
    sql(journal.path, f"UPDATE meta SET value = {schema} WHERE key = 'schema'")
    wanted = f"found a journal of schema {schema}, wanted 2: another version of fabgate wrote it"
    with pytest.raises(JournalError, match=wanted):
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

"""Reading a journal, and finding what was changed in it."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.errors import JournalError
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal, open_connection
from fabgate.seal import ZERO_HASH, entry_hash
from tests.gate.journal.journals import START, TOPICS, refused, sql


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

"""What is told of a journal whose bytes a worn card gives back as others? One clear error, and never a crash."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.errors import JournalError
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Change, Journal
from tests.gate.journal.journals import SESSION, TOPICS, refused, sql, started


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The bytes of a journal with something in each table."""
    made = Journal(tmp_path_factory.mktemp("whole") / "journal.db", TOPICS)
    made.append([started(), refused()], Change(opens=SESSION, latch=frozenset({"danger"}), lock='{"version": 1}'))
    for _ in range(10):
        made.append([refused()])
    made.acknowledge(5)
    made.trim(before_ms=0, most=9)
    made.close()
    return made.path.read_bytes()


@given(st.data())
def test_whatever_bytes_are_damaged_only_an_error_of_the_journal_or_an_answer_comes_out(whole, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "journal.db"
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    with contextlib.suppress(JournalError), contextlib.closing(JournalReader(path)) as view:
        for look in (view.bounds, view.first_break, lambda: view.after(0, most=100), lambda: view.hash_at(7)):
            with contextlib.suppress(JournalError):
                look()
    made = Journal(path, TOPICS)
    with contextlib.suppress(JournalError), contextlib.closing(made):
        made.open()
        for look in (made.open_session, made.latched, made.lock, made.last_time_ms):
            with contextlib.suppress(JournalError):
                look()
        made.recent("access.refused", most=3)
        made.append([refused()])


@pytest.mark.parametrize(
    ("change", "look"),
    [
        ("UPDATE open_session SET energised_ms = x'ff'", Journal.open_session),
        ("UPDATE open_session SET member = CAST(x'ff' AS TEXT)", Journal.open_session),
        ("UPDATE entry SET at_ms = 'noon'", Journal.last_time_ms),
        ("UPDATE latched SET word = CAST(x'ff' AS TEXT)", Journal.latched),
        ("UPDATE entry SET hash = 5 WHERE seq = 5", lambda made: made.trim(before_ms=0, most=7)),
        ("UPDATE meta SET value = CAST(x'ff' AS TEXT) WHERE key = 'lock'", Journal.lock),
    ],
)
def test_a_damaged_row_is_an_error_that_names_the_file(whole, tmp_path, change, look):
    path = tmp_path / "journal.db"
    path.write_bytes(whole)
    sql(path, change)
    made = Journal(path, TOPICS)

    def found() -> None:
        made.open()
        look(made)

    with contextlib.closing(made), pytest.raises(JournalError, match=r"the (file is not a journal|journal cannot be)"):
        found()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE meta SET value = 1000000000000 WHERE key = 'anchor_hash'",
        "DELETE FROM meta WHERE key = 'anchor_seq'",
        "UPDATE meta SET value = 'x' WHERE key = 'mark'",
        "DELETE FROM meta WHERE key = 'mark'",
    ],
)
def test_a_reader_of_a_damaged_row_says_so(whole, tmp_path, change):
    path = tmp_path / "journal.db"
    path.write_bytes(whole)
    sql(path, change)
    with contextlib.closing(JournalReader(path)) as view:
        for look in (view.bounds, view.first_break):
            with pytest.raises(JournalError, match=r"journal\.db: the file is not a journal, or is damaged"):
                look()

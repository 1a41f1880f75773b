"""Which journal did a new one follow? (``fabgate rename`` itself is tried from outside, in tests/e2e.)"""

from __future__ import annotations

import pytest

from fabgate.gate.rename import PREVIOUS, previous_journal


@pytest.mark.parametrize(("noted", "found"), [(b"0197a0\n", "0197a0"), (b"", None), (b"\xff\xfe", None)])
def test_a_note_of_the_journal_before_is_taken_where_it_can_be_read(tmp_path, noted, found):
    (tmp_path / PREVIOUS).write_bytes(noted)
    assert previous_journal(tmp_path) == found


def test_a_first_journal_follows_none(tmp_path):
    assert previous_journal(tmp_path) is None

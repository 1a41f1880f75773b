"""A copy that is put back: by the collector it is a note, by another tool the newest rows of the log are missing."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.collector.running import environment, run


@pytest.fixture
def home(tmp_path) -> Path:
    """A collector with a gate, of which a copy was made before another gate came."""
    home = tmp_path / "data"
    assert run(environment(home), "gate-add", "laser-1", "--machine", "laser").returncode == 0
    with closing(sqlite3.connect(home / "collector.db")) as database, database:
        database.execute("UPDATE collector_collector SET rolled_tz = 'Europe/Paris'")  # as the first start does
    assert verify(home)[0] == 0
    assert run(environment(home), "backup", str(tmp_path / "copy.tar.gz")).returncode == 0
    shutil.copyfile(home / "collector.db", tmp_path / "collector.db")
    assert run(environment(home), "gate-add", "saw-1", "--machine", "saw").returncode == 0
    return home


def verify(home: Path) -> tuple[int, str, str]:
    """Return the exit code, what is printed, and the head."""
    done = run(environment(home), "verify")
    return done.returncode, done.stdout, "".join(re.findall("Head of the audit log: (.*)", done.stdout))


@pytest.mark.sqlite
def test_a_restore_is_a_note_with_the_head_of_before_and_then_all_is_whole_again(home, tmp_path):
    code, _text, before = verify(home)
    assert code == 0
    assert run(environment(home), "restore", str(tmp_path / "copy.tar.gz"), "--replace").returncode == 0
    code, text, after = verify(home)
    assert (code, "Note: the database was restored on " in text, before in text) == (0, True, True)
    assert int(after.partition(":")[0]) < int(before.partition(":")[0]) + 1
    assert verify(home)[0] == 0
    done = run(environment(home), "verify", "--head", before)
    assert done.returncode == 6  # an auditor who noted the head sees that the log is another one


@pytest.mark.sqlite
def test_a_copy_that_another_tool_put_back_lacks_the_newest_rows(home, tmp_path):
    code, _text, before = verify(home)
    assert code == 0
    for leftover in home.glob("collector.db-*"):
        leftover.unlink()
    shutil.copyfile(tmp_path / "collector.db", home / "collector.db")
    code, text, _head = verify(home)
    assert code == 6
    number = before.partition(":")[0]
    assert re.search(rf"ALTERED change numbers? .*{number}: is missing: they were deleted, or an older copy", text)

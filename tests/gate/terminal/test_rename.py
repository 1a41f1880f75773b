"""What becomes of the old journal when a gate gets another name? (The command itself is tried in tests/e2e.)"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from fabgate.gate.terminal import rename as renaming
from fabgate.gate.terminal.rename import PREVIOUS, previous_journal, rename
from tests.gate.journal.journals import uids
from tests.gate.shell import drafts, gate_config

READS = """
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM entry").fetchone()
print("reads", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(("noted", "found"), [(b"0197a0\n", "0197a0"), (b"", None), (b"\xff\xfe", None)])
def test_a_note_of_the_journal_before_is_taken_where_it_can_be_read(tmp_path, noted, found):
    (tmp_path / PREVIOUS).write_bytes(noted)
    assert previous_journal(tmp_path) == found


def test_a_first_journal_follows_none(tmp_path):
    assert previous_journal(tmp_path) is None


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A gate whose journal has another name, and everything delivered; its last entries are in the WAL only."""
    made = gate_config(tmp_path)
    made.state_dir.mkdir()
    journal = Journal(made.state_dir / "journal.db", wire.GateTopics("lyon", "old"))
    journal.append(drafts(5))
    journal.acknowledge(5)
    with contextlib.closing(JournalReader(journal.path)):  # the last connection to be closed would fold the WAL
        journal.close()
    assert journal.path.with_name("journal.db-wal").stat().st_size > 0
    return made


def kept_alone(config: Config, folder: Path) -> list[str]:
    """Return what the kept file has without anything beside it."""
    (kept,) = config.state_dir.glob("journal-lyon-old-*.db")
    folder.mkdir()
    return uids(Path(shutil.copy(kept, folder / "journal.db")))


def test_the_kept_journal_is_whole_also_while_somebody_has_it_open(config, tmp_path):
    with contextlib.closing(JournalReader(config.state_dir / "journal.db")) as reader:
        assert reader.bounds()[1] == 5
        rename(config)
        assert kept_alone(config, tmp_path / "copy") == ["u1", "u2", "u3", "u4", "u5"]
    assert not (config.state_dir / "journal.db").exists()
    assert not (config.state_dir / "journal.db-wal").exists()
    assert previous_journal(config.state_dir) is not None


@pytest.fixture
def looking(config: Config) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of reading the journal."""
    command = [sys.executable, "-c", READS, str(config.state_dir / "journal.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "reads\n"
        yield process
        process.stdin.close()


def test_a_reader_that_does_not_end_is_named_and_nothing_is_changed(config, looking, monkeypatch):
    monkeypatch.setattr(renaming, "READER_S", 0.1)
    before = uids(config.state_dir / "journal.db")
    with pytest.raises(UsageError, match=re.escape("journal.db: the journal is being read by")) as caught:
        rename(config)
    assert f"process {looking.pid} ({Path(f'/proc/{looking.pid}/exe').readlink().name})" in str(caught.value)
    assert uids(config.state_dir / "journal.db") == before
    assert previous_journal(config.state_dir) is None


def test_once_the_reader_has_ended_the_same_command_works(config, looking, monkeypatch, tmp_path):
    monkeypatch.setattr(renaming, "READER_S", 0.1)
    with pytest.raises(UsageError):
        rename(config)
    looking.stdin.close()
    looking.wait()
    assert "is now lyon/laser-1" in rename(config)
    assert kept_alone(config, tmp_path / "copy") == ["u1", "u2", "u3", "u4", "u5"]

"""A journal, a reader of it, and a folder for many journals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from tests.gate.disk import folder_in_memory
from tests.gate.journal.journals import TOPICS


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


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as path:
        yield path

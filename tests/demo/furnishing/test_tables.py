"""The empty tables that a demo keeps for the next one: the same as made, of this version only, and never a reason to fail."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fabgate.demo.furnishing import tables

SCHEMA = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fabgate"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collector's database as its first start makes it."""
    data = tmp_path_factory.mktemp("made")
    environment = {**os.environ, "FABGATE_SITE": "demo", "FABGATE_DATA": str(data)}
    subprocess.run([sys.executable, "-m", "fabgate", "collector", "migrate"], env=environment, check=True)
    return data / "collector.db"


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def test_what_is_laid_is_what_was_made_but_for_whose_it_is(cache: Path, made: Path, tmp_path: Path) -> None:
    laid = tmp_path / "demo" / "collector.db"
    assert not tables.lay(laid)
    assert not laid.exists()
    tables.keep(made)
    assert tables.lay(laid)
    assert rows(laid, SCHEMA) == rows(made, SCHEMA)
    assert rows(laid, "SELECT app, name FROM django_migrations") == rows(
        made, "SELECT app, name FROM django_migrations"
    )
    assert len(rows(made, "SELECT * FROM collector_collector")) == 1
    assert rows(laid, "SELECT * FROM collector_collector") == []
    assert stat.S_IMODE(laid.stat().st_mode) == 0o600


def test_only_the_copy_of_this_version_stays(cache: Path, made: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "demo-tables-0123.db").write_bytes(b"another version's")
    (cache / "somebody-elses.db").write_bytes(b"not ours")
    tables.keep(made)
    names = sorted(file.name for file in cache.iterdir())
    assert len(names) == 2
    assert "somebody-elses.db" in names
    assert "demo-tables-0123.db" not in names


def test_a_copy_that_is_torn_is_not_laid(cache: Path, made: Path, tmp_path: Path) -> None:
    tables.keep(made)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    for torn in (b"no database at all", whole[: len(whole) // 2]):
        kept.write_bytes(torn)
        assert not tables.lay(tmp_path / "demo" / "collector.db")
        assert not (tmp_path / "demo").exists()


def test_where_nothing_can_be_kept_nothing_is(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    tables.keep(made)
    assert not tables.lay(tmp_path / "collector.db")

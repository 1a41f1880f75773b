"""On a full disk nothing is half done, whoever only reads goes on, and everybody else is told what is full."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError

from fabgate.collector.ground.base import disk_full
from tests.collector.running import environment, run
from tests.support import disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path / "small", 8 * 1024) as folder:
        yield folder


@pytest.mark.parametrize("room", [0, 65536])
def test_a_gate_is_enrolled_completely_or_not_at_all(small_disk, room):
    env = environment(small_disk / "data")
    assert run(env, "gate-add", "saw-1", "--machine", "saw").returncode == 0
    gates = small_disk / "data" / "gates"
    token = (gates / "saw-1" / "token").read_text()
    filler = disk.fill(small_disk, but=room)
    added = run(env, "gate-add", "laser-1", "--machine", "laser")
    renewed = run(env, "gate-add", "saw-1", "--machine", "saw", "--new-token")
    for done in (added, renewed):
        if done.returncode:
            assert "the disk is full" in done.stderr or "No space left" in done.stderr
            assert "Traceback" not in done.stderr
            assert "[Errno" not in done.stderr
    assert (gates / "laser-1").exists() == (added.returncode == 0)
    assert sorted(path.name for path in (gates / "saw-1").iterdir()) == ["badge.keys", "seal.keys", "token"]
    assert ((gates / "saw-1" / "token").read_text() == token) == (renewed.returncode != 0)
    filler.unlink()
    if added.returncode:
        assert run(env, "gate-add", "laser-1", "--machine", "laser").returncode == 0
    assert all(path.stat().st_size for path in (gates / "laser-1").iterdir())


def test_errors_of_a_full_disk_are_recognised():
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE t (a)")
        made.execute("PRAGMA max_page_count=2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            made.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 20)
    wrapped = OperationalError("database or disk is full")
    wrapped.__cause__ = caught.value
    assert disk_full.is_full(wrapped)
    assert disk_full.is_full(OSError(errno.ENOSPC, "No space left on device"))
    assert not disk_full.is_full(OSError(errno.EACCES, "Permission denied"))
    assert not disk_full.is_full(OperationalError("database is locked"))
    with pytest.raises(OperationalError, match="locked"), disk_full.unless_full():
        raise OperationalError("database is locked")

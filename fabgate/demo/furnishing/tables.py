"""Keeps a copy of the empty tables, so that the next demo of this version starts faster.

Migrations take longer than the rest of the start. The copy is named after them, so that another version makes its own.
If it cannot be stored, the tables are created each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

_PREFIX: Final = "demo-tables-"
#: Deletes the identity of the collector, because each demo is a collector of its own.
_ITS_OWN: Final = "DELETE FROM collector_collector"


def lay(database: Path) -> bool:
    """Copy the empty tables to a new database; return False if there is no intact copy."""
    kept = _place()
    try:
        with contextlib.closing(sqlite3.connect(f"{kept.as_uri()}?mode=ro", uri=True)) as copy:
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                return False
        database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(kept, database)
        database.chmod(0o600)
    except (OSError, sqlite3.Error):
        return False
    return True


def keep(database: Path) -> None:
    """Store a copy of a database that contains only empty tables, and delete the copies of other versions."""
    kept = _place()
    with contextlib.suppress(OSError, sqlite3.Error):
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=_PREFIX) as folder:
            fresh = Path(folder) / "tables"
            with contextlib.closing(sqlite3.connect(database)) as db:
                db.execute("VACUUM INTO ?", (str(fresh),))
            with contextlib.closing(sqlite3.connect(fresh)) as copy:
                copy.execute(_ITS_OWN)
                copy.commit()
            fresh.replace(kept)
        for other in kept.parent.glob(f"{_PREFIX}*.db"):
            if other != kept:
                other.unlink()


def _place() -> Path:
    """Return the path of this version's copy."""
    steps = hashlib.sha256(version("django").encode())
    folder = files("fabgate.collector.ground").joinpath("migrations")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            steps.update(file.name.encode() + b"\0" + file.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return cache.absolute() / "fabgate" / f"{_PREFIX}{steps.hexdigest()[:16]}.db"

"""Which gates have no keys that this account can read? A copy without them restores no collector that gates know."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from fabgate.collector.ground.base import called, data_folder


def unreadable(database: Path, data: Path) -> list[str]:
    """Return each file of a known gate that this account cannot read, with the reason. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        rows = connection.execute("SELECT name FROM collector_gate WHERE token_hash <> '' ORDER BY name").fetchall()
    found = []
    for (gate,) in rows:
        path = data / data_folder.GATES / gate / data_folder.SEAL_KEYS
        try:
            path.open("rb").close()
        except OSError as error:
            found.append(f"{path} ({error.strerror})")
    return found


def next_step(data: Path) -> str:
    """Return what to do about them."""
    owner, again = data.stat(), called.command("gate-add GATE --machine MACHINE --new-token")
    made_by_root = f"chown -R {owner.st_uid}:{owner.st_gid} {data / data_folder.GATES}"
    return f"if root made them, run {made_by_root}; if they are lost, {again} makes new ones"

"""Says whether the gate of a state directory runs. The daemon holds a lock there as long as it runs."""

from __future__ import annotations

import fcntl
from pathlib import Path


def gate_runs(state_dir: Path) -> bool:
    """Return whether a gate runs here. Raises OSError where this account has no right to read its lock."""
    try:
        with (state_dir / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False  # the gate has never run here
    except BlockingIOError:
        return True
    return False


def is_alive(pid: int, lock: Path) -> bool:
    """Return whether the gate with this process id runs: after a reboot another process may have the same id."""
    if not Path(f"/proc/{pid}").exists():
        return False
    try:
        return not lock.exists() or gate_runs(lock.parent)
    except OSError:
        return True  # this account has no right to read the lock

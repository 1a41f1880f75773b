"""Verbs of the collector as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.patience import HANGS_S, wait


def environment(home: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
    return {**inherited, "FABGATE_SITE": "lyon", "FABGATE_DATA": str(home), "FABGATE_MQTT_PORT": "1", **more}


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "fabgate.collector", *arguments],
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=HANGS_S,
    )


def children(parent: int) -> dict[int, str]:
    """Return the verb of each child by process id, without those that have just ended."""
    found = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"fabgate.collector" in words:
            found[int(pid)] = words[words.index(b"fabgate.collector") + 1].decode()
    return found


def until_healthy(port: int) -> None:
    def healthy() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=HANGS_S) as answer:
                return json.load(answer)["ok"] is True
        except (urllib.error.URLError, OSError):
            return False

    wait(healthy)


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=HANGS_S).close()
    except urllib.error.HTTPError:
        return True  # nothing is stored, and it says so
    except OSError:
        return False
    return True


def is_waiting(pid: int, lock: Path) -> bool:
    """Whether a process holds a lock, or waits for it."""
    place = f":{lock.stat().st_ino} "
    return any(place in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())

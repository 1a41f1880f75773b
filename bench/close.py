"""How long does it take to close a month of 50,000 sessions, and how long does a writer wait meanwhile?

``python -m bench.close SESSIONS`` fills the collector of its environment with sessions of last month, starts billing and
charges them, and prints the month. Then ``bill-close`` runs as a process of its own, while another connection asks for the
right to write, as the ingest does for each batch. This is on SQLite, where only one process at a time can write.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from bench import books
from bench.collector import Child, Home, copy
from bench.gates import ROOT, BenchError
from bench.harness import PASSES, Figure, Run
from bench.rate import start_billing
from bench.usage import Peak

SESSIONS = 50_000
LIMIT_S = 15.0
#: How long the ingest may wait.
LONGEST_WAIT_MS = 1_000.0
FILES = ("collector.db", "secret.key", "badge.keys")


def measure(run: Run) -> list[Figure]:
    filled = Home(run.fresh("filled"))
    child = Child("bench.close", filled, str(SESSIONS))
    month, sessions = child.answer()
    child.end()
    run.log(f"{sessions:,} sessions are charged in {month}")
    took_s, waits_ms, peaks = [], [], []
    for number in range(1, PASSES + 1):
        home = Home(run.fresh(f"closed-{number}"))
        for name in FILES:
            copy(filled.data / name, home.data / name)
        with Writer(home.data / "collector.db") as writer:
            wall_s, mib = _close(home, month)
        took_s.append(wall_s)
        waits_ms.append(writer.longest_ms)
        peaks.append(mib)
        run.log(f"pass {number}: {wall_s:.1f} s, a writer waits {writer.longest_ms:.0f} ms at most, {mib:.0f} MiB")
    return [
        run.figure(f"closing a month of {sessions:,} sessions", "s", took_s, LIMIT_S),
        run.figure("the longest that a writer waits meanwhile", "ms", waits_ms, LONGEST_WAIT_MS),
        run.figure("most memory while closing", "MiB", peaks),
    ]


def _close(home: Home, month: str) -> tuple[float, float]:
    """Close the month; return seconds and MiB."""
    began_s = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "fabgate.collector", "bill-close", month, "--reason", "gates of a bench report nothing"],
        cwd=ROOT,
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with Peak(process.pid) as peak:
        out = process.communicate()[0]
    if process.returncode:
        raise BenchError(f"bill-close ended with {process.returncode}: {out[-2000:]}")
    return time.monotonic() - began_s, peak.mib


class Writer:
    """Takes the right to write again and again, and gives it back; remembers the longest wait."""

    PAUSE_S = 0.01
    GIVES_UP_S = 60.0

    def __init__(self, database: Path) -> None:
        self.longest_ms = 0.0
        self._database = database
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(sqlite3.connect(self._database, timeout=self.GIVES_UP_S, isolation_level=None)) as db:
            while not self._ended.wait(self.PAUSE_S):
                began_s = time.monotonic()
                db.execute("BEGIN IMMEDIATE")
                self.longest_ms = max(self.longest_ms, (time.monotonic() - began_s) * 1000)
                db.execute("ROLLBACK")


def main() -> None:
    """Fill the collector of the environment, and charge last month."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    with contextlib.redirect_stderr(io.StringIO()):  # it notes that it makes a new collector
        start.prepare()
    from fabgate.collector.billing.charges import refresh
    from fabgate.collector.models import Charge

    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = midnight.replace(day=1) - timedelta(days=1)
    # The first and the last day are left out, so that every session ends in the month, whatever the zone.
    books.fill(int(sys.argv[1]), [last.replace(day=number) for number in range(2, last.day)])
    first = start_billing()
    refresh.refresh_all()
    print(json.dumps([f"{first:%Y-%m}", Charge.objects.filter(month=first).count()]), flush=True)


if __name__ == "__main__":
    main()

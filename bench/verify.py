"""How long does it take to verify the books, and how much memory? Compared with storing the same entries in this run.

Processor time is compared, because both need little else. ``python -m bench.verify SESSIONS`` stores the sessions in the
collector of its environment, as the ingest does, with whole chains; it prints how many seconds that took.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime

from bench import books, entries
from bench.collector import Child, Home, empty
from bench.gates import ROOT, BenchError
from bench.harness import PASSES, Figure, Run
from bench.usage import Peak

GATES = 20
SESSIONS = 20_000
#: Each session has its start, its progress, its end, and a refusal after it.
ENTRIES_EACH = 4
#: How many entries of a gate are stored at once.
BATCH = 500
#: A million sessions in ten minutes.
LEAST_PER_S = 1_000_000 / 600


def measure(run: Run) -> list[Figure]:
    home = empty(run)
    child = Child("bench.verify", home, str(SESSIONS))
    stored_s = float(child.answer())
    child.end()
    run.log(f"{SESSIONS:,} sessions are stored, {SESSIONS / stored_s:.0f}/s")
    took_s, walls_s, peaks = [], [], []
    for number in range(1, PASSES + 1):
        seconds, wall_s, mib = _verify(home)
        took_s.append(seconds)
        walls_s.append(wall_s)
        peaks.append(mib)
        run.log(f"pass {number}: {SESSIONS / seconds:.0f} sessions/s, {mib:.0f} MiB")
    return [
        run.figure("verifying sessions, against storing them", "ratio", [one / stored_s for one in took_s], 2.0),
        run.figure("sessions verified", "1/s", [SESSIONS / one for one in took_s], LEAST_PER_S, at_least=True),
        run.figure("sessions verified, by the clock on the wall", "1/s", [SESSIONS / one for one in walls_s]),
        run.figure("most memory while verifying", "MiB", peaks),
    ]


def _verify(home: Home) -> tuple[float, float, float]:
    """Verify once; return seconds of the processor and of the clock, and MiB."""
    began_s, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, "-m", "fabgate.collector", "verify"],
        cwd=ROOT,
        env=home.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with Peak(process.pid) as peak:
        out = process.communicate()[0]
    if process.returncode:
        raise BenchError(f"verify ended with {process.returncode}: {out[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used_s, time.monotonic() - began_s, peak.mib


def fill(sessions: int) -> float:
    """Store sessions in the database that Django is set up for; return the seconds of the processor that it took."""
    from fabgate.collector.broker.message import Received
    from fabgate.collector.intake.store import Store
    from fabgate.collector.models import Journal
    from tests.support import baseline

    Journal.objects.update(is_root=False)  # those of the workshop have no entries
    books.place("verified", GATES)
    baseline.log_the_rest()
    each = sessions // GATES * ENTRIES_EACH + 1  # and the start of the gate
    journals = [entries.journal(f"verified-{number}", each, seed=number) for number in range(GATES)]
    store, took_s = Store(os.environ["FABGATE_SITE"]), 0.0
    for first in range(0, each, BATCH):
        for journal in journals:
            last = min(first + BATCH, each)
            messages = [
                Received(journal.topics[n], journal.bodies[n], journal.name, str(n + 1)) for n in range(first, last)
            ]
            began_s = time.process_time()
            store.store(messages, datetime.now(UTC))
            took_s += time.process_time() - began_s
    return took_s


def main() -> None:
    """Fill the collector of the environment."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "fabgate.collector.settings"
    from fabgate.collector.processes import start

    start.prepare(owns=True)
    print(fill(int(sys.argv[1])), flush=True)


if __name__ == "__main__":
    main()

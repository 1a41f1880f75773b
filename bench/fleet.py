"""How does the ingest take all gates at once? Five hundred with fifty entries each, after a night without the network."""

from __future__ import annotations

from bench import ingesting
from bench.collector import Gates, broker, check_stored_once, empty, ingest
from bench.harness import PASSES, Figure, Run
from bench.light_gates import Workload
from bench.usage import Peak, rss_mib

GATES, ENTRIES = 500, 50
#: The memory that 25,000 messages may take in the ingest, with what the database keeps of them.
MOST_MIB = 150.0


def measure(run: Run) -> list[Figure]:
    took, grew, peaks = [], [], []
    for number in range(1, PASSES + 1):
        home = empty(run)
        with broker(run) as port, ingest(home, port) as running:
            ingesting.backlog(port, "warm", ingesting.SETTLE_GATES, ingesting.SETTLE_ENTRIES)
            before = rss_mib(running.pid)
            gates = Gates(Workload(port=port, prefix=f"f{number}", gates=GATES, entries=ENTRIES))
            try:
                with Peak(running.pid) as peak:
                    gates.go()
                    outcome = gates.outcome()
            finally:
                gates.kill()
        check_stored_once(home, f"f{number}", outcome)
        took.append(outcome.took_s)
        peaks.append(peak.mib)
        grew.append(peak.mib - before)
        run.log(f"pass {number}: {outcome.took_s:.1f} s, {peak.mib:.0f} MiB")
    return [
        run.figure("500 gates with 50 entries each, all acknowledged, none lost or doubled", "s", took),
        run.figure("the ingest's memory grows by", "MiB", grew, MOST_MIB),
        run.figure("the ingest's memory", "MiB", peaks),
    ]

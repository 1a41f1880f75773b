"""How long until an entry is acknowledged? A thousand gates, each on its own connection, 500 entries a second."""

from __future__ import annotations

from bench.collector import Gates, broker, check_stored_once, empty, ingest
from bench.harness import PASSES, Figure, Run, percentile
from bench.light_gates import Workload

GATES, RATE, ENTRIES = 1_000, 500.0, 4


def measure(run: Run) -> list[Figure]:
    home = empty(run)
    p50s, p99s, worst = [], [], []
    with broker(run) as port, ingest(home, port):
        for number in range(1, PASSES + 1):
            workload = Workload(port=port, prefix=f"l{number}", gates=GATES, entries=ENTRIES, again=False, rate=RATE)
            gates = Gates(workload)
            try:
                gates.go()
                outcome = gates.outcome()
            finally:
                gates.kill()
            check_stored_once(home, f"l{number}", outcome)
            waits = [one * 1000 for one in outcome.waits_s]
            p50s.append(percentile(waits, 0.5))
            p99s.append(percentile(waits, 0.99))
            worst.append(max(waits))
            run.log(f"pass {number}: p50 {p50s[-1]:.1f} ms, p99 {p99s[-1]:.1f} ms, max {worst[-1]:.1f} ms")
    return [
        run.figure("published to acknowledged, p50", "ms", p50s, 5),
        run.figure("published to acknowledged, p99", "ms", p99s, 25),
        run.figure("published to acknowledged, the worst", "ms", worst),
    ]

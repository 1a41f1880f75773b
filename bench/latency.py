"""How long until an entry is acknowledged? A thousand gates, each on its own connection, 500 entries a second."""

from __future__ import annotations

from bench.collector import Gates, broker, empty, ingest, stored_once
from bench.harness import PASSES, Figure, Run, percentile
from bench.light_gates import Wanted

GATES, RATE, ENTRIES = 1_000, 500.0, 4


def measure(run: Run) -> list[Figure]:
    home = empty(run)
    p50s, p99s, worst = [], [], []
    with broker(run) as port, ingest(home, port):
        for number in range(1, PASSES + 1):
            wanted = Wanted(port=port, prefix=f"l{number}", gates=GATES, entries=ENTRIES, again=False, rate=RATE)
            gates = Gates(wanted)
            try:
                gates.go()
                told = gates.told()
            finally:
                gates.kill()
            stored_once(home, f"l{number}", told)
            waits = [one * 1000 for one in told.waits_s]
            p50s.append(percentile(waits, 0.5))
            p99s.append(percentile(waits, 0.99))
            worst.append(max(waits))
            run.say(f"pass {number}: p50 {p50s[-1]:.1f} ms, p99 {p99s[-1]:.1f} ms, max {worst[-1]:.1f} ms")
    return [
        run.figure("published to acknowledged, p50", "ms", p50s, 5),
        run.figure("published to acknowledged, p99", "ms", p99s, 25),
        run.figure("published to acknowledged, the worst", "ms", worst),
    ]

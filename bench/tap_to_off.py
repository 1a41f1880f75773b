"""How long from a stop at the inbox to a machine without power? The whole daemon; the disk is not in the path."""

from __future__ import annotations

import random
import statistics
import time

from bench import people
from bench.gates import LocalGate, write_config
from bench.harness import PASSES, Figure, Run, percentile
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader

STOPS = 500
REST_S = 0.002


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    config = write_config(folder, run.socket(), roster_db=people.stored(folder / "100k.db", people.LARGE))
    reader = SimulatedReader(SimulatedOptions(control_socket=run.socket()))
    choose = random.Random(3)  # the same in each run
    p50s, p99s = [], []
    with LocalGate(config, reader=reader) as gate:
        for number in range(1, PASSES + 1):
            stops = []
            for _ in range(STOPS):
                gate.tap(people.badge(choose.randrange(people.LARGE)))
                time.sleep(REST_S)
                stops.append(gate.stop() / 1000)
                time.sleep(REST_S)
            p50s.append(statistics.median(stops))
            p99s.append(percentile(stops, 0.99))
            run.log(f"pass {number}: p50 {p50s[-1]:.3f} ms, p99 {p99s[-1]:.3f} ms, max {max(stops):.3f} ms")
    return [run.figure("p50", "ms", p50s, 0.3), run.figure("p99", "ms", p99s, 5)]

"""How long from a badge at the inbox to a green light, with every panel attached? The journal row is on disk before it.

The bench has real drivers and libraries; pins and buses are emulated, in the same process, so the figure is an upper
bound. A p99 says something about the gate only where the computer was quiet: it is judged in passes in which the p99 of a
bare append and fdatasync, next to each tap, was at most four times its p50.
"""

from __future__ import annotations

import os
import random
import statistics
import time

from bench import people
from bench.gates import LocalGate, write_config
from bench.harness import PASSES, Figure, Run, percentile
from bench.panels import ALL, attached
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader

TAPS = 100
REST_S = 0.1
LIGHT_MS = 50
MOST_PASSES = 8
#: See bench/tap_to_power.py.
QUIET = 4


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    stored = people.stored(folder / "1k.db", people.SMALL)
    config = write_config(folder, run.socket(), roster_db=stored, panel=ALL)
    reader = SimulatedReader(SimulatedOptions(control_socket=run.socket()))
    choose = random.Random(5)  # the same in each run
    p50s: list[float] = []
    p99s: list[float] = []
    bare = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with attached() as (_, seen), LocalGate(config, reader=reader) as gate:
        time.sleep(2)  # until each panel is open
        while len(p50s) < PASSES or (len(p99s) < PASSES and len(p50s) < MOST_PASSES):
            lights, bares = [], []
            for _ in range(TAPS):
                began_ns = time.perf_counter_ns()
                gate.tap(people.badge(choose.randrange(people.SMALL)))
                lights.append((seen.until("green") - began_ns) / 1e6)
                time.sleep(REST_S)
                gate.stop()
                time.sleep(REST_S)
                began_ns = time.perf_counter_ns()
                os.write(bare, bytes(300))
                os.fdatasync(bare)
                bares.append((time.perf_counter_ns() - began_ns) / 1e6)
            p50s.append(statistics.median(lights))
            p99 = percentile(lights, 0.99)
            is_quiet = percentile(bares, 0.99) <= QUIET * statistics.median(bares)
            if is_quiet:
                p99s.append(p99)
            run.log(f"p50 {p50s[-1]:.2f} ms, p99 {p99:.2f} ms{'' if is_quiet else ' (noisy computer)'}")
    os.close(bare)
    note = f"judged in {len(p99s)} quiet passes of {len(p50s)}"
    return [
        run.figure("p50, every panel attached", "ms", p50s),
        run.figure("p99, every panel attached", "ms", p99s, LIGHT_MS, note=note),
    ]

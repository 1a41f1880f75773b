"""Does a large roster slow the gate's start or take memory? A real gate with 100,000 members, and one with 1,000.

Both have stored their roster, and the collector answers that it is still the newest: an ordinary morning. The start ends
when the gate reports READY; the memory is read once a hundred members have used the machine.
"""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

from bench import people
from bench.gates import GateProcess, collector, wait_for, write_config
from bench.harness import PASSES, Figure, Run
from bench.usage import rss_mib
from fabgate import wire

STARTS = 3
TAPS = 100


def measure(run: Run) -> list[Figure]:
    configs: dict[int, Path] = {}
    folder = run.fresh("collector")
    body = folder / "body.json"
    body.write_bytes(wire.encode(people.roster(range(1))))  # version 1, which both gates have
    ratios, more, sizes = [], [], []
    with collector(body) as url:
        for size in (people.SMALL, people.LARGE):
            of_size = run.fresh(str(size))
            roster = {"url": url, "token_file": str(of_size / "token")}
            stored = people.stored(of_size / "roster.db", size)
            configs[size] = write_config(of_size, run.socket(), roster_db=stored, roster=roster)
            _start(run, configs[size], size)  # the first start makes the journal
        for number in range(1, PASSES + 1):
            found = [
                (_start(run, configs[people.SMALL], 1000), _start(run, configs[people.LARGE], 100_000))
                for _ in range(STARTS)
            ]
            small, large = zip(*found, strict=True)
            start = [statistics.median(s for s, _ in side) for side in (small, large)]
            memory = [statistics.median(m for _, m in side) for side in (small, large)]
            ratios.append(start[1] / start[0])
            more.append(memory[1] - memory[0])
            sizes.append(memory[1])
            run.log(
                f"pass {number}: start {start[0] * 1000:.0f} ms at 1,000, {start[1] * 1000:.0f} ms at 100,000;"
                f" memory {memory[0]:.1f} and {memory[1]:.1f} MiB"
            )
    return [
        run.figure("start at 100,000 / start at 1,000", "ratio", ratios, 1.2),
        run.figure("memory at 100,000 - memory at 1,000", "MiB", more, 4),
        run.figure("memory at 100,000", "MiB", sizes),
    ]


def _start(run: Run, config: Path, size: int) -> tuple[float, float]:
    """Return the seconds until the gate was ready, and its MiB after a hundred sessions."""
    choose = random.Random(4)  # the same in each run
    notify_socket = run.socket()
    began_s = time.perf_counter()
    with GateProcess(config, notify_socket, child=True) as gate:
        gate.ready()
        took_s = time.perf_counter() - began_s
        wait_for("the roster to be in force", lambda: gate.status().get("roster"))
        for _ in range(TAPS):
            gate.send(f"present {people.badge(choose.randrange(size))}")
            gate.changed(on=True)
            gate.send("stop")
            gate.changed(on=False)
        return took_s, rss_mib(gate.pid)

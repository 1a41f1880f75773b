"""Does a tap wait while the roster is replaced? By one of 100,000 members of whom a tenth are new.

A real gate fetches the new roster over HTTP, checks its seal and stores it, while a badge is presented every few
milliseconds, on time whether or not the last one was handled, so that a stall counts for every badge during it. A decision
takes from when the badge was due until the rules had handled it. The memory is the peak of the gate's process and its
children while the roster is replaced.
"""

from __future__ import annotations

import time

from bench import people
from bench.gates import BenchError, GateProcess, collector, wait_for, write_config
from bench.harness import PASSES, Figure, Run, percentile
from bench.usage import Peak
from fabgate import wire

EVERY_S = 0.004
LEAVE = people.LARGE // 10
#: Taps before and after the replacement that are measured too.
MARGIN_S = 0.3


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    body = folder / "body.json"
    # A tenth leaves and as many others come; the next pass swaps them back.
    bodies = [wire.encode(people.roster(range(first, first + people.LARGE), version=1)) for first in (0, LEAVE)]
    body.write_bytes(bodies[0])
    p999s, worst, peaks, took = [], [], [], []
    with collector(body) as url:
        roster = {"url": url, "token_file": str(folder / "token"), "fetch_every_s": 1}
        stored = people.stored(folder / "100k.db", people.LARGE)
        config = write_config(folder, run.socket(), roster_db=stored, roster=roster)
        with GateProcess(config, run.socket(), child=True) as gate:
            gate.ready()
            gate.send(f"present {people.badge(people.LARGE // 2)}")
            gate.changed(on=True)
            run.log("the gate runs, and a session")
            for number in range(1, PASSES + 1):
                version = number + 1
                fresh = body.with_suffix(".new")
                fresh.write_bytes(bodies[number % 2].replace(b'"version":1', b'"version":%d' % version, 1))
                others = " ".join(people.badge(LEAVE + one * 37) for one in range(500))
                with Peak(gate.pid) as peak:
                    gate.send(f"feed {EVERY_S} {others}")
                    time.sleep(MARGIN_S)
                    began_s = time.perf_counter()
                    fresh.replace(body)
                    _await_version(gate, version)
                    took.append(time.perf_counter() - began_s)
                    time.sleep(MARGIN_S)
                    gate.send("fed")
                    answered = gate.answer()
                waits = [(at_s - due_s) * 1000 for due_s, at_s in answered if at_s > began_s]
                p999s.append(percentile(waits, 0.999))
                worst.append(max(waits))
                peaks.append(peak.mib)
                run.log(
                    f"pass {number}: {len(waits)} decisions in {took[-1]:.1f} s: p50 {percentile(waits, 0.5):.2f} ms,"
                    f" p99.9 {p999s[-1]:.1f} ms, max {worst[-1]:.1f} ms; peak {peaks[-1]:.0f} MiB"
                )
    return [
        run.figure("p99.9 of a decision meanwhile", "ms", p999s, 20),
        run.figure("longest decision meanwhile", "ms", worst, note="the best peer: 59 s"),
        run.figure("peak memory of the process tree", "MiB", peaks, 120),
        run.figure("until the new roster decides", "s", took, note="up to 1 s of which until the gate asks"),
    ]


def _await_version(gate: GateProcess, version: int) -> None:
    def came() -> bool:
        status = gate.status()
        if any(one.startswith("roster") for one in status.get("problems", ())):
            raise BenchError(f"the roster was refused: {status['problems']}")
        return bool((status.get("roster") or {}).get("version") == version)

    wait_for("the new roster", came, timeout_s=60, look_s=0.05)

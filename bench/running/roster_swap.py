"""A tap while the roster is replaced."""

from __future__ import annotations

import time

from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.process import GateProcess, roster_server
from bench.process import BenchError, wait_for
from bench.run import Run
from bench.usage import Peak
from fabgate import wire

EVERY_S = 0.004
LEAVE = people.LARGE // 10
#: Taps before and after the replacement that are measured too.
MARGIN_S = 0.3


@measures(
    Figure("p99.9 of a decision meanwhile", "ms", 20),
    Figure("longest decision meanwhile", "ms", note="the best peer: 59 s"),
    Figure("peak memory of the process tree", "MiB", 120),
    Figure("until the new roster decides", "s", note="up to 1 s of which until the gate asks"),
)
def roster_swap(run: Run) -> Passes:
    """Does a tap wait while the roster is replaced? By one of 100,000 members of whom a tenth are new.

    A real gate fetches the new roster over HTTP, checks its seal and stores it, while a badge is presented every few
    milliseconds, on time whether or not the last one was handled, so that a stall counts for every badge during it. A decision
    takes from when the badge was due until the rules had handled it. The memory is the peak of the gate's process and its
    children while the roster is replaced.
    """
    # A tenth leaves and as many others come; the next pass swaps them back.
    bodies = [wire.encode(people.roster(range(first, first + people.LARGE))) for first in (0, LEAVE)]
    others = [people.badge(LEAVE + one * 37) for one in range(500)]
    with roster_server(run) as (roster, body):
        body.write_bytes(bodies[0])
        roster["fetch_every_s"] = 1
        config = write_config(run.fresh("gate"), run.socket(), people.LARGE, roster=roster)
        with GateProcess(config, driven=True) as gate:
            gate.ready()
            gate.tap(people.badge(people.LARGE // 2))
            for number in range(1, PASSES + 1):
                version = number + 1
                fresh = body.with_suffix(".new")
                fresh.write_bytes(bodies[number % 2].replace(b'"version":1', b'"version":%d' % version, 1))
                with Peak(gate.pid) as peak:
                    gate.call("feed", EVERY_S, others)
                    time.sleep(MARGIN_S)
                    began_s = time.perf_counter()
                    fresh.replace(body)
                    _await_version(gate, version)
                    took_s = time.perf_counter() - began_s
                    time.sleep(MARGIN_S)
                    answered = gate.call("fed")
                waits_ms = [(at_s - due_s) * 1000 for due_s, at_s in answered if at_s > began_s]
                yield percentile(waits_ms, 0.999), max(waits_ms), peak.mib, took_s


def _await_version(gate: GateProcess, version: int) -> None:
    def came() -> bool:
        status = gate.status()
        if any(one.startswith("roster") for one in status.get("problems", ())):
            raise BenchError(f"the roster was refused: {status['problems']}")
        return bool((status.get("roster") or {}).get("version") == version)

    wait_for("the new roster", came, timeout_s=60, look_s=0.05)

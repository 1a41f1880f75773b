"""How much processor time does an idle gate take? ``fabgate run`` with its reader polling at 20 Hz and the broker up.

It includes the work of the emulated chip, which is Python where a real one is silicon: the figure is an upper bound.
"""

from __future__ import annotations

import time

from bench import people
from bench.gates import GateProcess, collector, write_config
from bench.harness import PASSES, Figure, Run
from bench.peers import broker, connected, light_collector
from bench.usage import cpu_s
from fabgate import wire

PASS_S = 8.0


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    body = folder / "body.json"
    body.write_bytes(wire.encode(people.roster(range(1))))
    stored = people.stored(folder / "1k.db", people.SMALL)
    shares = []
    with collector(body) as url, broker(run) as mqtt, light_collector(mqtt["port"]):
        roster = {"url": url, "token_file": str(folder / "token")}
        config = write_config(folder, run.socket(), roster_db=stored, roster=roster, mqtt=mqtt)
        with GateProcess(config, run.socket()) as gate:
            gate.ready()
            connected(gate)
            time.sleep(2)  # until the start is over
            for number in range(1, PASSES + 1):
                before_s, began_s = cpu_s(gate.pid), time.perf_counter()
                time.sleep(PASS_S)
                shares.append(100 * (cpu_s(gate.pid) - before_s) / (time.perf_counter() - began_s))
                run.log(f"pass {number}: {shares[-1]:.2f} % of a core")
    return [run.figure("running gate, idle machine", "% of a core", shares, 1)]

"""How much memory does a gate take, and does it grow? 1,000 sessions in a real process, broker and collector up.

The peer is an interpreter that has imported the same libraries and none of our code. Growth is measured between the
middle of the run and its end; each is the median of a tenth of the sessions, as memory moves in steps.
"""

from __future__ import annotations

import statistics

from bench import people
from bench.gates import GateProcess, write_config
from bench.harness import PASSES, Figure, Run
from bench.peers import Interpreter, broker, connected, libraries, light_collector, used
from bench.usage import rss_mib

SESSIONS = 1_000
#: Less is not growth: the step in which Python's allocator takes memory is 1 MiB, SQLite's and malloc's are smaller.
STEP_MIB = 0.25


def measure(run: Run) -> list[Figure]:
    ratios, growths, sizes = [], [], []
    for number in range(1, PASSES + 1):
        folder = run.fresh("gate")
        stored = people.stored(folder / "100k.db", people.SMALL)
        with broker(run) as mqtt, light_collector(mqtt["port"]):
            config = write_config(folder, run.socket(), roster_db=stored, mqtt=mqtt)
            with GateProcess(config, run.socket(), child=True) as gate:
                gate.ready()
                connected(gate)
                mib = []
                for session in range(SESSIONS):
                    used(gate, session % people.SMALL)
                    mib.append(rss_mib(gate.pid))
                with Interpreter(libraries(gate, folder / "libraries")) as peer:
                    bare = rss_mib(peer.pid)
        tenth = SESSIONS // 10
        middle, end = (statistics.median(mib[at : at + tenth]) for at in (SESSIONS // 2, SESSIONS - tenth))
        ratios.append(end / bare)
        growths.append(end - middle)
        sizes.append(end)
        run.log(
            f"pass {number}: {end:.1f} MiB, bare {bare:.1f} MiB, {end / bare:.2f} x; last half {end - middle:+.2f} MiB"
        )
    return [
        run.figure("after 1,000 sessions / bare imports", "ratio", ratios, 1.25),
        run.figure("growth in the last half", "MiB", growths, STEP_MIB, note="none is promised; steps are allowed for"),
        run.figure("after 1,000 sessions", "MiB", sizes),
    ]

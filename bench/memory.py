"""How much memory does a gate take, and does it grow? 1,000 sessions in a real process, broker and collector up.

The peer is an interpreter that has imported the same libraries and none of our code. The last pass goes on to 3,000
sessions. Growth is measured between its middle and its end: until then a gate that keeps nothing still touches the pages
of the 1 MiB that Python's allocator took last. Each size is the median of 100 sessions, as memory moves in steps.
"""

from __future__ import annotations

import statistics

from bench import people
from bench.gates import GateProcess, write_config
from bench.harness import PASSES, Figure, Run
from bench.peers import Interpreter, broker, connected, libraries, light_collector, used
from bench.usage import rss_mib

SESSIONS = 1_000
LONG = 3_000
TENTH = 100
#: Less is not growth: the step in which Python's allocator takes memory is 1 MiB, SQLite's and malloc's are smaller.
STEP_MIB = 0.25


def measure(run: Run) -> list[Figure]:
    ratios, sizes = [], []
    growth = 0.0
    for number in range(1, PASSES + 1):
        folder = run.fresh("gate")
        stored = people.stored(folder / "100k.db", people.SMALL)
        with broker(run) as mqtt, light_collector(mqtt["port"]):
            config = write_config(folder, run.socket(), roster_db=stored, mqtt=mqtt)
            with GateProcess(config, run.socket(), child=True) as gate:
                gate.ready()
                connected(gate)
                mib = _grown(gate, 0, SESSIONS)
                with Interpreter(libraries(gate, folder / "libraries")) as peer:
                    bare = rss_mib(peer.pid)
                end = statistics.median(mib[-TENTH:])
                run.log(f"pass {number}: {end:.1f} MiB, bare {bare:.1f} MiB, {end / bare:.2f} x")
                if number == PASSES:
                    mib += _grown(gate, SESSIONS, LONG)
                    middle, last = (statistics.median(mib[at : at + TENTH]) for at in (LONG // 2, LONG - TENTH))
                    growth = last - middle
                    run.log(f"from {LONG // 2:,} to {LONG:,} sessions: {growth:+.2f} MiB")
        ratios.append(end / bare)
        sizes.append(end)
    return [
        run.figure("after 1,000 sessions / bare imports", "ratio", ratios, 1.25),
        run.figure(
            "growth in the last half of 3,000 sessions",
            "MiB",
            [growth],
            STEP_MIB,
            note="one pass; none is promised; steps are allowed for",
        ),
        run.figure("after 1,000 sessions", "MiB", sizes),
    ]


def _grown(gate: GateProcess, first: int, end: int) -> list[float]:
    """Use the gate from session `first` to before `end`; return its memory after each, in MiB."""
    mib = []
    for session in range(first, end):
        used(gate, session % people.SMALL)
        mib.append(rss_mib(gate.pid))
    return mib

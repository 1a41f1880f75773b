"""How long does a gate take to start, and how much memory does it take?"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import PASSES, Figure, Passes, measures, turns
from bench.gates import people
from bench.gates.config import reader_socket, write_config
from bench.gates.process import GateProcess, roster_server, uplink
from bench.process import Process, wait_for
from bench.run import Run
from bench.usage import rss_mib

SESSIONS, LONG = 1_000, 3_000
TENTH = 100
#: Less is not growth: the step in which Python's allocator takes memory is 1 MiB, SQLite's and malloc's are smaller.
STEP_MIB = 0.25


@measures(
    Figure("after 1,000 sessions / bare imports", "ratio", 1.25),
    Figure(
        "growth in the last half of 3,000 sessions",
        "MiB",
        STEP_MIB,
        note="one pass; none is promised; steps are allowed for",
    ),
    Figure("after 1,000 sessions", "MiB"),
)
def memory(run: Run) -> Passes:
    """How much memory does a gate take, and does it grow? 1,000 sessions in a real process, broker and collector up.

    The peer is an interpreter that has imported the same libraries and none of our code. The last pass goes on to 3,000
    sessions. Growth is measured between its middle and its end: until then a gate that keeps nothing still touches the pages
    of the 1 MiB that Python's allocator took last. Each size is the median of 100 sessions, as memory moves in steps.
    """
    for number in range(1, PASSES + 1):
        with uplink(run) as (mqtt, _light):
            config = write_config(run.fresh("gate"), run.socket(), people.SMALL, mqtt=mqtt)
            with GateProcess(config, driven=True) as gate:
                gate.ready()
                gate.connected()
                sizes = _sizes_mib(gate)
                mib = list(itertools.islice(sizes, SESSIONS))
                with bare_imports(gate.libraries(config.with_name("libraries"))) as peer:
                    bare = rss_mib(peer.pid)
                end = statistics.median(mib[-TENTH:])
                growth = None
                if number == PASSES:
                    mib += itertools.islice(sizes, LONG - SESSIONS)
                    growth = statistics.median(mib[-TENTH:]) - statistics.median(mib[LONG // 2 :][:TENTH])
        yield end / bare, growth, end


def _sizes_mib(gate: GateProcess) -> Iterator[float]:
    """Use the gate; yield its memory after each session."""
    for session in itertools.count():
        gate.use(people.badge(session % people.SMALL))
        yield rss_mib(gate.pid)


def bare_imports(libraries: Path) -> Process:
    """Return a process that has imported these libraries and none of our code."""
    interpreter = Process("bench.peers.interpreter", libraries)
    interpreter.answer()
    return interpreter


@measures(
    Figure("start until ready / bare imports", "ratio", 1.5),
    Figure("start until ready", "ms"),
    Figure("bare imports", "ms"),
)
def start(run: Run) -> Passes:
    """How long until a gate takes a badge? From the start of ``fabgate run`` to READY with its reader open.

    Seen from outside: the gate reports READY, and the emulated chip, which the reader's start makes, has its control socket.
    The peer is an interpreter that imports the libraries that the gate has imported by then; the two take turns, and the
    fastest of five counts for each, as others on the computer may hold up any start.
    """
    with roster_server(run) as (roster, _), uplink(run) as (mqtt, _light):
        config = write_config(run.fresh("gate"), run.socket(), people.SMALL, roster=roster, mqtt=mqtt)
        chip = Path(reader_socket(config))
        with GateProcess(config, driven=True) as gate:
            gate.ready()
            gate.connected()
            gate.use(people.badge(1))
            libraries = gate.libraries(config.with_name("libraries"))

        def ours() -> float:
            chip.unlink(missing_ok=True)
            began_s = time.perf_counter()
            with GateProcess(config) as gate:
                gate.ready()
                wait_for("the chip's socket", chip.exists, look_s=0.002)
                return time.perf_counter() - began_s

        def bare() -> float:
            began_s = time.perf_counter()
            with bare_imports(libraries):
                return time.perf_counter() - began_s

        for _ in range(PASSES):
            ours_s, bare_s = map(min, turns(5, ours, bare))
            yield ours_s / bare_s, ours_s * 1000, bare_s * 1000


@measures(
    Figure("start at 100,000 / start at 1,000", "ratio", 1.2),
    Figure("memory at 100,000 - memory at 1,000", "MiB", 4),
    Figure("memory at 100,000", "MiB"),
)
def roster_size(run: Run) -> Passes:
    """Does a large roster slow the gate's start or take memory? A real gate with 100,000 members, and one with 1,000.

    Both have stored their roster, and the collector answers that it is still the newest: an ordinary morning. The start ends
    when the gate reports READY; the memory is read once a hundred members have used the machine. The median of three starts
    counts.
    """
    with roster_server(run) as (roster, _):
        configs = {
            size: write_config(run.fresh(str(size)), run.socket(), size, roster=roster)
            for size in (people.SMALL, people.LARGE)
        }

        def started(size: int) -> tuple[float, float]:
            """Return the seconds until the gate was ready, and its MiB after a hundred sessions."""
            badges = people.badges(4, size)
            began_s = time.perf_counter()
            with GateProcess(configs[size], driven=True) as gate:
                gate.ready()
                took_s = time.perf_counter() - began_s
                wait_for("the roster to be in force", lambda: gate.status().get("roster"))
                for _ in range(TENTH):
                    gate.use(next(badges))
                return took_s, rss_mib(gate.pid)

        sides = (lambda: started(people.SMALL)), (lambda: started(people.LARGE))
        turns(1, *sides)  # the first start makes the journal
        for _ in range(PASSES):
            small, large = (
                [statistics.median(values) for values in zip(*side, strict=True)] for side in turns(3, *sides)
            )
            yield large[0] / small[0], large[1] - small[1], large[1]

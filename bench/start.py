"""How long until a gate takes a badge? From the start of ``fabgate run`` to READY with its reader open.

Seen from outside: the gate reports READY, and the emulated chip, which the reader's start makes, has its control socket.
The peer is an interpreter that imports the libraries that the gate has imported by then; the two take turns.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench import people
from bench.gates import GateProcess, collector, wait_for, write_config
from bench.harness import PASSES, Figure, Run
from bench.peers import Interpreter, broker, connected, libraries, light_collector, used
from fabgate import wire

STARTS = 5


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    body = folder / "body.json"
    body.write_bytes(wire.encode(people.roster(range(1))))
    stored = people.stored(folder / "1k.db", people.SMALL)
    ratios, gates, bares = [], [], []
    with collector(body) as url, broker(run) as mqtt, light_collector(mqtt["port"]):
        roster = {"url": url, "token_file": str(folder / "token")}
        chip = run.socket()
        config = write_config(folder, chip, roster_db=stored, roster=roster, mqtt=mqtt)
        with GateProcess(config, run.socket(), child=True) as gate:
            gate.ready()
            connected(gate)
            used(gate, 1)
            names = libraries(gate, folder / "libraries")
        for number in range(1, PASSES + 1):
            pairs = [(_start(run, config, Path(chip)), _imports(names)) for _ in range(STARTS)]
            # The fastest of each, as others on the computer may hold up any start.
            ours, bare = (min(side) for side in zip(*pairs, strict=True))
            ratios.append(ours / bare)
            gates.append(ours * 1000)
            bares.append(bare * 1000)
            run.log(f"pass {number}: {ours * 1000:.0f} ms, bare imports {bare * 1000:.0f} ms, {ours / bare:.2f} x")
    return [
        run.figure("start until ready / bare imports", "ratio", ratios, 1.5),
        run.figure("start until ready", "ms", gates),
        run.figure("bare imports", "ms", bares),
    ]


def _start(run: Run, config: Path, chip: Path) -> float:
    """Return the seconds from the start of the process until it takes badges."""
    chip.unlink(missing_ok=True)
    notify_socket = run.socket()
    began_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    with GateProcess(config, notify_socket) as gate:
        gate.ready()
        wait_for("the chip's socket", chip.exists, look_s=0.002)
        return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - began_ns) / 1e9


def _imports(names: Path) -> float:
    with Interpreter(names) as peer:
        return peer.took_s

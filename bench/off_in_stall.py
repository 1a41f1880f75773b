"""Does the power go off while the disk hangs? strace delays every fsync of a running gate by ten seconds.

A session runs and its checkpoint hangs at the fsync; then stop is pressed. It is measured from before the command to the
gate until the pin was low, three times. Meanwhile the loop gets an event every two milliseconds: the gap is the time
between two handled ones. Nothing is measured where ptrace is not allowed.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from bench import people
from bench.gates import GateProcess, boottime_ns, wait_for, write_config
from bench.harness import Figure, Run, percentile
from bench.syncs import NotAllowedError, delayed_syncs

HANG_S = 10
STOPS = 3
TICK_S = 0.002
OFF_MS, GAP_MS = 50, 100


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    stored = people.stored(folder / "1k.db", people.SMALL)
    config = write_config(folder, run.socket(), roster_db=stored, journal={"checkpoint_s": 1})
    with GateProcess(config, run.socket(), child=True) as gate:
        gate.ready()
        try:
            offs, gaps = zip(*(_stall(run, gate, last=number == STOPS) for number in range(1, STOPS + 1)), strict=True)
        except NotAllowedError as error:
            return _figures(run, [], [], f"not measured: {error}")
    each = ", ".join(f"{one:.2f}" for one in offs)
    return _figures(run, [max(offs)], [percentile([gap for some in gaps for gap in some], 0.999)], f"offs: {each} ms")


def _figures(run: Run, off: list[float], gap: list[float], note: str) -> list[Figure]:
    return [
        run.figure("longest off of three, one pass", "ms", off, OFF_MS, note=note),
        run.figure("p99.9 gap of the loop, one pass", "ms", gap, GAP_MS),
    ]


def _stall(run: Run, gate: GateProcess, *, last: bool) -> tuple[float, list[float]]:
    """Return the milliseconds until the power was off, and the gaps of the loop."""
    gate.send(f"present {people.badge(7)}")
    gate.changed(on=True)
    with delayed_syncs(gate.pid, f"{HANG_S}s"):
        wait_for("a sync that hangs", lambda: _hangs(gate.pid))
        began_s = time.monotonic()
        gate.send(f"feed {TICK_S} tick")
        time.sleep(0.3)
        assert gate.changes.empty()
        pressed_ns = boottime_ns()
        gate.send("stop")
        off_ms = (gate.changed(on=False) - pressed_ns) / 1e6
        if last:  # watches the gaps of one whole stall
            time.sleep(max(0.0, HANG_S - 1 - (time.monotonic() - began_s)))
        if not _hangs(gate.pid):
            raise RuntimeError("the sync came back before its time: nothing was measured")
        gate.send("fed")
        at_s = [at for _, at in gate.answer()]
    wait_for("the end of the session on disk", lambda: gate.status()["state"] == "idle")
    time.sleep(0.5)
    gaps = [(after - before) * 1000 for before, after in itertools.pairwise(at_s)]
    run.log(
        f"off after {off_ms:.2f} ms with the disk hanging; {len(gaps)} gaps of the loop:"
        f" p99.9 {percentile(gaps, 0.999):.1f} ms, max {max(gaps):.1f} ms"
    )
    return off_ms, gaps


def _hangs(pid: int) -> bool:
    """Return whether the same thread stays stopped at the entry of a system call."""
    held: set[str] | None = None
    for _ in range(5):
        stopped = {
            task.name
            for task in Path(f"/proc/{pid}/task").iterdir()
            if (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "t"
        }
        held = stopped if held is None else held & stopped
        time.sleep(0.02)
    return bool(held)

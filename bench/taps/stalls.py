"""Power while the disk or a display hangs."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.local import LocalGate
from bench.gates.panels import ALL, Panels, attached
from bench.gates.process import GateProcess, boottime_ns
from bench.gates.syncs import NotAllowedError, delayed_syncs
from bench.process import BenchError, wait_for
from bench.run import Run

HANG_S = 10
STOPS = 3
TICK_S = 0.002
TAPS = 150
REST_S = 0.01
LONGEST_OFF = "longest off of three, one pass"


@measures(
    Figure(LONGEST_OFF, "ms", 50),
    Figure("p99.9 gap of the loop, one pass", "ms", 100),
)
def off_in_stall(run: Run) -> Passes:
    """Does the power go off while the disk hangs? strace delays every fsync of a running gate by ten seconds.

    A session runs and its checkpoint hangs at the fsync; then stop is pressed. It is measured from before the command to the
    gate until the pin was low, three times. Meanwhile the loop gets an event every two milliseconds: the gap is the time
    between two handled ones. Nothing is measured where ptrace is not allowed.
    """
    config = write_config(run.fresh("gate"), run.socket(), people.SMALL, journal={"checkpoint_s": 1})
    with GateProcess(config, driven=True) as gate:
        gate.ready()
        try:
            stalls = [_stall(gate, last=number == STOPS) for number in range(1, STOPS + 1)]
        except NotAllowedError as error:
            run.notes[LONGEST_OFF] = f"not measured: {error}"
            return
    run.notes[LONGEST_OFF] = f"offs: {', '.join(f'{off_ms:.2f}' for off_ms, _ in stalls)} ms"
    gaps_ms = [gap_ms for _, gaps in stalls for gap_ms in gaps]
    yield max(off_ms for off_ms, _ in stalls), percentile(gaps_ms, 0.999)


def _stall(gate: GateProcess, *, last: bool) -> tuple[float, list[float]]:
    """Return the milliseconds until the power was off, and the gaps of the loop."""
    gate.tap(people.badge(7))
    with delayed_syncs(gate.pid, f"{HANG_S}s"):
        wait_for("a sync that hangs", lambda: _hangs(gate.pid))
        began_s = time.monotonic()
        gate.call("feed", TICK_S, [])
        time.sleep(0.3)
        assert gate.changes.empty()
        pressed_ns = boottime_ns()
        gate.send("stop")
        off_ms = (gate.changed(on=False) - pressed_ns) / 1e6
        gate.answer()
        if last:  # watches the gaps of one whole stall
            time.sleep(max(0.0, HANG_S - 1 - (time.monotonic() - began_s)))
        if not _hangs(gate.pid):
            raise BenchError("the sync came back before its time: nothing was measured")
        at_s = [at for _, at in gate.call("fed")]
    wait_for("the end of the session on disk", lambda: gate.status()["state"] == "idle")
    time.sleep(0.5)
    return off_ms, [(after - before) * 1000 for before, after in itertools.pairwise(at_s)]


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


@measures(
    Figure("tap to power, hanging / answering", "ratio", 1.2),
    Figure("tap to off, hanging / answering", "ratio", 1.2),
)
def panel_stall(run: Run) -> Passes:
    """Does a display that hangs delay power? An I2C bus hangs for ten seconds with both displays on it.

    Taps and stops of a gate whose displays hang, and of the same gate whose displays answer, in turn.
    """
    config = write_config(run.fresh("gate"), run.socket(), people.SMALL, panel=ALL)
    badges = people.badges(6, people.SMALL)
    with attached() as panels, LocalGate(config) as gate:
        time.sleep(2)  # until each panel is open
        _medians_us(gate, badges, 20)
        for _ in range(PASSES):
            on_us, off_us = _medians_us(gate, badges, TAPS)
            hung_on_us, hung_off_us = _hung(panels, gate, badges)
            yield hung_on_us / on_us, hung_off_us / off_us
            time.sleep(1)


def _hung(panels: Panels, gate: LocalGate, badges: Iterator[str]) -> tuple[float, float]:
    """Return the medians while both displays hang for the whole time."""
    panels.hung.clear()
    panels.answers.clear()
    began_s = time.monotonic()
    try:
        _medians_us(gate, badges, 5)
        if not panels.hung.wait(5):
            raise BenchError("no display wrote to its bus: nothing was measured")
        found = _medians_us(gate, badges, TAPS)
        time.sleep(max(0.0, HANG_S - (time.monotonic() - began_s)))
    finally:
        panels.answers.set()
    return found


def _medians_us(gate: LocalGate, badges: Iterator[str], count: int) -> tuple[float, float]:
    """Return the median microseconds from a tap to power, and from stop to no power."""
    ons, offs = zip(*(gate.tap_and_stop(next(badges), REST_S) for _ in range(count)), strict=True)
    return statistics.median(ons), statistics.median(offs)

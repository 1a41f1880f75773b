"""Does a display that hangs delay power? An I2C bus hangs for ten seconds with both displays on it.

Taps and stops of a gate whose displays hang, and of the same gate whose displays answer, in turn.
"""

from __future__ import annotations

import random
import statistics
import time

from bench import people
from bench.gates import LocalGate, write_config
from bench.harness import PASSES, Figure, Run
from bench.panels import ALL, HangingBus, attached
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader

HANG_S = 10.0
TAPS = 150
REST_S = 0.01


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    stored = people.stored(folder / "1k.db", people.SMALL)
    config = write_config(folder, run.socket(), roster_db=stored, panel=ALL)
    reader = SimulatedReader(SimulatedOptions(control_socket=run.socket()))
    on_ratios, off_ratios = [], []
    with attached() as (bus, _), LocalGate(config, reader=reader) as gate:
        time.sleep(2)  # until each panel is open
        choose = random.Random(6)  # the same in each run
        _turns(gate, choose, 20)
        for number in range(1, PASSES + 1):
            ons, offs = _turns(gate, choose, TAPS)
            hung_ons, hung_offs = _hung(bus, gate, choose)
            on_ratios.append(hung_ons / ons)
            off_ratios.append(hung_offs / offs)
            run.log(
                f"pass {number}: on {ons:.0f} us, {hung_ons:.0f} us with hanging displays;"
                f" off {offs:.0f} us and {hung_offs:.0f} us"
            )
            time.sleep(1)
    return [
        run.figure("tap to power, hanging / answering", "ratio", on_ratios, 1.2),
        run.figure("tap to off, hanging / answering", "ratio", off_ratios, 1.2),
    ]


def _hung(bus: HangingBus, gate: LocalGate, choose: random.Random) -> tuple[float, float]:
    """Return the medians while both displays hang for the whole time."""
    bus.hung.clear()
    bus.answers.clear()
    began_s = time.monotonic()
    try:
        _turns(gate, choose, 5)
        if not bus.hung.wait(5):
            raise RuntimeError("no display wrote to its bus: nothing was measured")
        found = _turns(gate, choose, TAPS)
        time.sleep(max(0.0, HANG_S - (time.monotonic() - began_s)))
    finally:
        bus.answers.set()
    return found


def _turns(gate: LocalGate, choose: random.Random, count: int) -> tuple[float, float]:
    """Return the median microseconds from a tap to power, and from stop to no power."""
    ons, offs = [], []
    for _ in range(count):
        ons.append(gate.tap(people.badge(choose.randrange(people.SMALL))))
        time.sleep(REST_S)
        offs.append(gate.stop())
        time.sleep(REST_S)
    return statistics.median(ons), statistics.median(offs)

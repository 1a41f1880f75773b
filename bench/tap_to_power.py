"""How long from a badge at the inbox to a machine with power? The whole daemon, the journal row on disk first.

The peer is the least that a durable record can cost: the same bytes appended to a file, and fdatasync. The two take turns.
Then both do so with every sync delayed by five milliseconds, as a good card takes: that figure is the one to judge by, as
gates run on cards, and what the gate adds to a sync is the same on each disk.

A p99 says something about the gate only where the disk itself was quiet, so it is judged in passes in which the bare p99 was
at most four times the bare p50; passes are added until five are quiet, or the most were made.
"""

from __future__ import annotations

import statistics
import sys

from bench import people
from bench.gates import LocalGate, write_config
from bench.harness import PASSES, Figure, Run, percentile
from bench.syncs import NotAllowedError, run_with_slow_syncs
from bench.tap_pair import Pair
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader

TAPS = 700
CARD_TAPS = 100
#: How long a sync of a good SD card takes.
CARD = "5ms"
MOST_PASSES = 10
#: A pass counts for the p99 when the bare p99 is at most this many times the bare p50.
QUIET = 4


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    config = write_config(folder, run.socket(), roster_db=people.stored(folder / "100k.db", people.LARGE))
    reader = SimulatedReader(SimulatedOptions(control_socket=run.socket()))
    p50s: list[float] = []
    p99s: list[float] = []
    gate_p50s: list[float] = []
    bare_p50s: list[float] = []
    noisy = 0
    with LocalGate(config, reader=reader) as gate:
        run.log("the gate runs")
        pair = Pair(gate, folder)
        pair.measure(50)
        while len(p50s) < PASSES or (len(p99s) < PASSES and len(p50s) < MOST_PASSES):
            taps, bares = pair.measure(TAPS)
            tap, bare = statistics.median(taps), statistics.median(bares)
            tap99, bare99 = percentile(taps, 0.99), percentile(bares, 0.99)
            quiet = bare99 <= QUIET * bare
            p50s.append(tap / bare)
            gate_p50s.append(tap)
            bare_p50s.append(bare)
            if quiet:
                p99s.append(tap99 / bare99)
            noisy += not quiet
            run.log(
                f"pass {len(p50s)}: p50 {tap:.0f} us, bare {bare:.0f} us, {tap / bare:.2f} x;"
                f" p99 {tap99:.0f} us, bare {bare99:.0f} us, {tap99 / bare99:.2f} x{'' if quiet else ' (noisy disk)'}"
            )
        pair.close()
    cards, card_note = _on_a_card(run)
    note = f"judged in {len(p99s)} quiet passes; in {noisy} the disk was noisy" if noisy else ""
    return [
        run.figure("p50 / bare append+fdatasync", "ratio", p50s, 2.6),
        run.figure("p99 / bare append+fdatasync", "ratio", p99s, 3, note=note),
        run.figure(f"p50 / bare, syncs of {CARD}", "ratio", cards, 1.35, note=card_note),
        run.figure("p50", "us", gate_p50s),
        run.figure("bare p50", "us", bare_p50s, note="the peer: the bytes of the session's first entry"),
    ]


def _on_a_card(run: Run) -> tuple[list[float], str]:
    """Return the ratios with slow syncs, and a note where there are none."""
    ratios = []
    folder = run.fresh("card")
    people.stored(folder / "100k.db", people.LARGE)
    try:
        command = [sys.executable, "-m", "bench.tap_pair", str(folder), run.socket(), str(PASSES), str(CARD_TAPS)]
        for line in run_with_slow_syncs(command, CARD):
            tap, bare = map(float, line.split())
            ratios.append(tap / bare)
            run.log(f"syncs of {CARD}: p50 {tap:.0f} us, bare {bare:.0f} us, {ratios[-1]:.2f} x")
    except NotAllowedError as error:
        return [], f"not measured: {error}"
    return ratios, ""

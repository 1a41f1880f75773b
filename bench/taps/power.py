"""From a badge or a button to power or none, in the whole daemon; and next to each tap a bare append to a file."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Generator
from pathlib import Path

from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.local import LocalGate
from bench.gates.panels import ALL, attached
from bench.gates.syncs import NotAllowedError, with_delayed_syncs
from bench.process import calling, wait_for
from bench.run import Run
from fabgate.gate.journal.reader import JournalReader, StoredEntry

#: How long a sync of a good SD card takes.
CARD = "5ms"
#: A pass counts for the p99 when the p99 of bare appends is at most this many times their p50.
QUIET = 4
OVER_BARE = "p99 / bare append+fdatasync"
ON_A_CARD = f"p50 / bare, syncs of {CARD}"
TO_GREEN = "p99, every panel attached"


@measures(
    Figure("p50 / bare append+fdatasync", "ratio", 2.6),
    Figure(OVER_BARE, "ratio", 3),
    Figure(ON_A_CARD, "ratio", 1.35),
    Figure("p50", "us"),
    Figure("bare p50", "us", note="the peer: the bytes of the session's first entry"),
)
def tap_to_power(run: Run) -> Passes:
    """How long from a badge at the inbox to a machine with power? The whole daemon, the journal row on disk first.

    The peer is the least that a durable record can cost: the same bytes appended to a file, and fdatasync. The two take turns.
    Then both do so with every sync delayed by five milliseconds, as a good card takes: that figure is the one to judge by, as
    gates run on cards, and what the gate adds to a sync is the same on each disk.

    A p99 says something about the gate only where the disk itself was quiet, so it is judged in passes in which the bare p99
    was at most four times the bare p50; passes are added until five are quiet, or ten were made.
    """
    config = write_config(run.fresh("gate"), run.socket(), people.LARGE)
    made = quiet = 0
    with contextlib.closing(_pairs(str(config), 50, 700, 2 * PASSES)) as passes:
        while quiet < PASSES and (found := next(passes, None)):
            tap, bare = map(statistics.median, found)
            tap99, bare99 = (percentile(side, 0.99) for side in found)
            is_quiet = bare99 <= QUIET * bare
            made, quiet = made + 1, quiet + is_quiet
            yield tap / bare, tap99 / bare99 if is_quiet else None, None, tap, bare
    if quiet < made:
        run.notes[OVER_BARE] = f"judged in {quiet} quiet passes; in {made - quiet} the disk was noisy"
    config = write_config(run.fresh("card"), run.socket(), people.LARGE)
    try:
        before = with_delayed_syncs(CARD)
    except NotAllowedError as error:
        run.notes[ON_A_CARD] = f"not measured: {error}"
        return
    with calling("bench.taps.power", before=before) as gate:
        for tap, bare in gate.call("medians_us", str(config), 10, 100, PASSES):
            yield None, None, tap / bare, None, None


def medians_us(config: str, warm: int, count: int, passes: int) -> list[list[float]]:
    """Return the medians of a gate's taps and of bare appends: this is called in a process of its own."""
    return [[statistics.median(side) for side in both] for both in _pairs(config, warm, count, passes)]


def _pairs(config: str, warm: int, count: int, passes: int) -> Generator[tuple[list[float], list[float]], None, None]:
    """Yield, after some that do not count, the microseconds of taps on a gate and of as many bare appends, pass by pass."""
    path = Path(config)
    badges = people.badges(2, people.LARGE)
    with LocalGate(path) as gate, (path.parent / "bare").open("ab", buffering=0) as bare:
        journal = JournalReader(path.parent / "state" / "journal.db")
        _, head, _ = journal.bounds()

        def ended() -> list[StoredEntry]:
            entries = journal.after(head, most=20)
            return entries if any(one.type == "session.ended" for one in entries) else []

        for number in range(passes + 1):
            taps, bares = [], []
            for _ in range(count if number else warm):
                taps.append(gate.tap(next(badges)))
                gate.stop()
                entries = wait_for("the session's end on disk", ended, look_s=0.0005)
                head = entries[-1].seq
                bares.append(_append_us(bare.fileno(), next(e.body for e in entries if e.type == "session.started")))
            if number:
                yield taps, bares
        journal.close()


def _append_us(fd: int, body: bytes) -> float:
    """Append to a file, durably; return the microseconds."""
    began_ns = time.perf_counter_ns()
    os.write(fd, body)
    os.fdatasync(fd)
    return (time.perf_counter_ns() - began_ns) / 1000


@measures(Figure("p50", "ms", 0.3), Figure("p99", "ms", 5))
def tap_to_off(run: Run) -> Passes:
    """How long from a stop at the inbox to a machine without power? The whole daemon; the disk is not in the path."""
    badges = people.badges(3, people.LARGE)
    with LocalGate(write_config(run.fresh("gate"), run.socket(), people.LARGE)) as gate:
        for _ in range(PASSES):
            offs_ms = [gate.tap_and_stop(next(badges), 0.002)[1] / 1000 for _ in range(500)]
            yield statistics.median(offs_ms), percentile(offs_ms, 0.99)


@measures(Figure("p50, every panel attached", "ms"), Figure(TO_GREEN, "ms", 50))
def tap_to_light(run: Run) -> Passes:
    """How long from a badge at the inbox to a green light, with every panel attached? The journal row is on disk before it.

    The panels have real drivers and libraries; pins and buses are emulated, in the same process, so the figure is an upper
    bound. The p99 is judged in quiet passes, as that of ``tap_to_power``; eight are made at most.
    """
    config = write_config(run.fresh("gate"), run.socket(), people.SMALL, panel=ALL)
    badges = people.badges(5, people.SMALL)
    made = quiet = 0
    with attached() as panels, LocalGate(config) as gate, (config.parent / "bare").open("ab", buffering=0) as bare:
        time.sleep(2)  # until each panel is open
        while made < PASSES or (quiet < PASSES and made < 8):
            lights_ms, bares_us = [], []
            for _ in range(100):
                began_ns = time.perf_counter_ns()
                gate.tap(next(badges))
                lights_ms.append((panels.until("green") - began_ns) / 1e6)
                time.sleep(0.1)
                gate.stop()
                time.sleep(0.1)
                bares_us.append(_append_us(bare.fileno(), bytes(300)))
            is_quiet = percentile(bares_us, 0.99) <= QUIET * statistics.median(bares_us)
            made, quiet = made + 1, quiet + is_quiet
            yield statistics.median(lights_ms), percentile(lights_ms, 0.99) if is_quiet else None
    run.notes[TO_GREEN] = f"judged in {quiet} quiet passes of {made}"

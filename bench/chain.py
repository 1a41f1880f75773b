"""How long from a card in the field to power? Chip, driver, 20 Hz poll, rules, journal, output, and 8 ms of relay.

The real `mfrc522` package polls the emulated chip. Its frames take their time on the air, and each SPI transfer takes as
long as its bits do at 1 MHz. Cards come at random moments of the poll. The relay's 8 ms are added.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from bench import people
from bench.gates import LocalGate, write_config
from bench.harness import PASSES, Figure, Run, percentile
from fabgate.drivers.emulated import ChipBench
from fabgate.drivers.emulated.cards import Card
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import EMPTY_POLLS, bench_at, release
from fabgate.drivers.readers.mfrc522 import Mfrc522Options, Mfrc522Reader
from fabgate.rules.presence import MAX_CARDS

CARDS = 60
RELAY_MS = 8.0
SPI_HZ = 1_000_000
POLL_S = 0.05


class PacedChip(Chip):
    """The emulated chip behind a bus that takes its time, as spidev does: the calling thread sleeps."""

    def transfer(self, sent: Sequence[int]) -> list[int]:
        """Exchange bytes, and take as long as the bits do."""
        answer = super().transfer(sent)
        time.sleep(8 * len(sent) / SPI_HZ)
        return answer


def measure(run: Run) -> list[Figure]:
    folder = run.fresh("gate")
    path = run.socket()
    chip = PacedChip(rf_time=True)
    bench_at(path, lambda: ChipBench(chip))
    config = write_config(folder, path, roster_db=people.stored(folder / "100k.db", people.LARGE))
    choose = random.Random(5)  # the same in each run
    p50s, p99s = [], []
    with LocalGate(config, reader=Mfrc522Reader(Mfrc522Options(chip="emulated", control_socket=path))) as gate:
        run.log("the gate runs")
        for number in range(1, PASSES + 1):
            waits = []
            for card in range(CARDS):
                if card % MAX_CARDS == 0:
                    _until_seen_empty(chip)
                uid = people.uid(choose.randrange(people.LARGE))
                began_ns = time.perf_counter_ns()
                chip.place(Card(uid))
                waits.append((gate.changed(on=True) - began_ns) / 1e6 + RELAY_MS)
                gate.stop()
                chip.remove(uid)
                time.sleep(POLL_S * (1 + choose.random()))  # so the next one comes at any moment of the poll
            p50s.append(percentile(waits, 0.5))
            p99s.append(percentile(waits, 0.99))
            run.log(f"pass {number}: p50 {p50s[-1]:.1f} ms, p99 {p99s[-1]:.1f} ms, max {max(waits):.1f} ms")
    release(path)
    return [
        run.figure("p50, 7-byte card, relay included", "ms", p50s, 60),
        run.figure("p99, 7-byte card, relay included", "ms", p99s, 100),
    ]


def _until_seen_empty(chip: Chip) -> None:
    """Wait until the gate takes a card for an arrival (``fabgate.rules.presence``)."""
    while (chip.empty_polls or 0) < EMPTY_POLLS:
        time.sleep(POLL_S)

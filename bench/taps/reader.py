"""The reader's chip, with the real `mfrc522` package: how long from card to power, and how many transfers a poll takes."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import time
import warnings
from collections.abc import Sequence

from bench.figures import PASSES, Figure, Passes, measures, percentile
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.local import LocalGate
from bench.run import Run
from fabgate.drivers.emulated import ChipBench, spi
from fabgate.drivers.emulated.cards import Card
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import EMPTY_POLLS, bench_at, release
from fabgate.drivers.readers.mfrc522 import Mfrc522Options, Mfrc522Reader, rpi_gpio
from fabgate.rules.presence import MAX_CARDS
from fabgate.testing import emulated_hardware
from fabgate.testing.readers import DOUBLE, SINGLE, TRIPLE, ManualClock

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


@measures(
    Figure("p50, 7-byte card, relay included", "ms", 60),
    Figure("p99, 7-byte card, relay included", "ms", 100),
)
def chain(run: Run) -> Passes:
    """How long from a card in the field to power? Chip, driver, 20 Hz poll, rules, journal, output, and 8 ms of relay.

    The real `mfrc522` package polls the emulated chip. Its frames take their time on the air, and each SPI transfer takes as
    long as its bits do at 1 MHz. Cards come at random moments of the poll. The relay's 8 ms are added.
    """
    path = run.socket()
    chip = PacedChip(rf_time=True)
    bench_at(path, lambda: ChipBench(chip))
    config = write_config(run.fresh("gate"), path, people.LARGE)
    choose = random.Random(5)  # the same in each run
    with LocalGate(config, reader=Mfrc522Reader(Mfrc522Options(chip="emulated", control_socket=path))) as gate:
        for _ in range(PASSES):
            waits_ms = []
            for card in range(CARDS):
                if card % MAX_CARDS == 0:  # until the gate takes a card for an arrival (fabgate.rules.presence)
                    while (chip.empty_polls or 0) < EMPTY_POLLS:
                        time.sleep(POLL_S)
                uid = people.uid(choose.randrange(people.LARGE))
                began_ns = time.perf_counter_ns()
                chip.place(Card(uid))
                waits_ms.append((gate.changed(on=True) - began_ns) / 1e6 + RELAY_MS)
                gate.stop()
                chip.remove(uid)
                time.sleep(POLL_S * (1 + choose.random()))  # so the next one comes at any moment of the poll
            yield percentile(waits_ms, 0.5), percentile(waits_ms, 0.99)
    release(path)


@measures(
    Figure("no card", "transfers", 13),
    Figure("4 bytes", "transfers", 45),
    Figure("7 bytes", "transfers", 74),
    Figure("10 bytes", "transfers", 103),
    Figure("no card, the stock package", "transfers", note="the peer; it counted 2,013"),
)
def spi_transfers(run: Run) -> Passes:
    """How many SPI transfers does a poll of the reader take? With the real package, counted by the emulated chip.

    Nothing here depends on the speed of the computer: the chip's clock advances when the driver sleeps. A card that was not
    there at the last poll is read twice; that poll counts.
    """
    emulated_hardware.provide()
    clock = ManualClock()
    chip = Chip(clock=clock, rf_time=True)
    path = run.socket()
    bench_at(path, lambda: ChipBench(chip))
    reader = Mfrc522Reader(Mfrc522Options(chip="emulated", control_socket=path), sleep=clock.sleep)
    reader.open()
    counts = [[_first_look(reader, chip, uid) for _ in range(PASSES)] for uid in (None, SINGLE, DOUBLE, TRIPLE)]
    reader.close()
    release(path)
    yield from zip(*counts, [_stock() for _ in range(PASSES)], strict=True)


def _first_look(reader: Mfrc522Reader, chip: Chip, uid: bytes | None) -> int:
    chip.remove()
    reader.poll()
    if uid is not None:
        chip.place(Card(uid))
    before = chip.transfers
    seen = reader.poll()
    assert (seen is None) == (uid is None)
    return chip.transfers - before


def _stock() -> int:
    """Return what the unchanged package takes to see no card, on a chip that charges SPI time as a bus does."""
    import mfrc522  # the stand-ins for RPi.GPIO and spidev were put in place by our reader

    chip = Chip(clock=ManualClock(), rf_time=True, spi_hz=SPI_HZ)
    spi.install(chip)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)  # its `~` on a bool, from Python 3.12 on
        pcd = mfrc522.MFRC522(pin_mode=rpi_gpio.BCM, pin_rst=25)
        before = chip.transfers
        pcd.MFRC522_Request(pcd.PICC_REQIDL)
    taken = chip.transfers - before
    rpi_gpio.pins.cleanup(25)
    logging.getLogger("mfrc522Logger").handlers.clear()
    return taken

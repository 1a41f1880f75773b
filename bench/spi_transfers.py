"""How many SPI transfers does a poll of the reader take? With the real package, counted by the emulated chip.

Nothing here depends on the speed of the computer: the chip's clock advances when the driver sleeps.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

from bench.harness import PASSES, Figure, Run
from fabgate.drivers.emulated import ChipBench, spi
from fabgate.drivers.emulated.cards import Card
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import bench_at, release
from fabgate.drivers.readers.mfrc522 import Mfrc522Options, Mfrc522Reader, rpi_gpio
from fabgate.testing import emulated_hardware
from fabgate.testing.readers import DOUBLE, SINGLE, TRIPLE, ManualClock

#: The most transfers that a poll may take, by the card on the reader.
LIMITS = (("no card", None, 13), ("4 bytes", SINGLE, 45), ("7 bytes", DOUBLE, 74), ("10 bytes", TRIPLE, 103))


def measure(run: Run) -> list[Figure]:
    emulated_hardware.provide()
    clock = ManualClock()
    chip = Chip(clock=clock, rf_time=True)
    path = run.socket()
    bench_at(path, lambda: ChipBench(chip))
    reader = Mfrc522Reader(Mfrc522Options(chip="emulated", control_socket=path), sleep=clock.sleep)
    reader.open()
    figures = []
    for what, uid, limit in LIMITS:
        # A card that was not there at the last poll is read twice; that poll counts.
        counts = [_first_look(reader, chip, uid) for _ in range(PASSES)]
        figures.append(run.figure(what, "transfers", counts, limit))
        run.log(f"{what}: {counts}")
    reader.close()
    release(path)
    stock = [_stock(chip_time=ManualClock()) for _ in range(PASSES)]
    run.log(f"no card, the stock package: {stock}")
    return [*figures, run.figure("no card, the stock package", "transfers", stock, note="the peer; it counted 2,013")]


def _first_look(reader: Mfrc522Reader, chip: Chip, uid: bytes | None) -> int:
    chip.remove()
    reader.poll()
    if uid is not None:
        chip.place(Card(uid))
    before = chip.transfers
    seen = reader.poll()
    assert (seen is None) == (uid is None)
    return chip.transfers - before


def _stock(*, chip_time: ManualClock) -> int:
    """Return what the unchanged package takes to see no card, on a chip that charges SPI time as a bus does."""
    import mfrc522  # the stand-ins for RPi.GPIO and spidev were put in place by our reader

    chip = Chip(clock=chip_time, rf_time=True, spi_hz=1_000_000)
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

"""A gate at which nothing happens: processor time and writes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import PASSES, Figure, Passes, measures
from bench.gates import people
from bench.gates.config import write_config
from bench.gates.process import GateProcess, roster_server, uplink
from bench.process import BenchError, wait_for
from bench.run import Run
from bench.usage import core_share
from fabgate.drivers.emulated.control import ask
from fabgate.drivers.emulated.displays.i2c import Board, EmulatedBus
from fabgate.drivers.emulated.displays.oled_chip import OledChip

#: Long enough for each pass to have a repetition of what the display shows.
PASS_S = 10.0
#: How much faster than in a real gate the clock's events come, while writes are counted for so long.
FASTER, COUNTED_S, COUNTS = 60, 60.0, 3
DAY_S = 86_400
SECTOR_BYTES = 512
WRITTEN = "written a day"


@measures(
    Figure("running gate with reader, lights and OLED, idle machine", "% of a core", 1.5),
    Figure("the same, a session's clock ticking", "% of a core", 1.5),
)
def idle_cpu(run: Run) -> Passes:
    """How much processor time does an idle gate take, with reader, lights and OLED attached?

    ``fabgate run`` with its reader polling at 20 Hz, the broker up, and the real drivers of both panels. The chip of the
    reader and the pins are emulated in the same process, which is Python where a real gate has silicon: the figure is an upper
    bound. The chip of the display is emulated in this process. Then the same with a session, whose clock ticks on the display.
    """
    reader, display, bus = run.socket(), run.socket(), EmulatedBus()
    bus.chips[0x3C] = OledChip("sh1106")
    panel = [{"driver": "lights"}, {"driver": "oled", "chip": "emulated", "i2c_socket": display}]
    board = Board(Path(display), bus)

    def share() -> float:
        writes = bus.writes
        found = core_share(PASS_S, pid=gate.pid)
        if bus.writes == writes:
            raise BenchError("the display was not written: nothing was measured")
        return found

    with roster_server(run) as (roster, _), uplink(run) as (mqtt, _light):
        config = write_config(run.fresh("gate"), reader, people.SMALL, roster=roster, mqtt=mqtt, panel=panel)
        with GateProcess(config) as gate:
            gate.ready()
            gate.connected()
            wait_for("the display", lambda: bus.writes)
            time.sleep(2)  # until the start is over
            for _ in range(PASSES):
                yield share(), None
            ask(reader, {"do": "tap", "uid": people.uid(0).hex()})
            gate.changed(on=True)
            time.sleep(1)
            for _ in range(PASSES):
                yield None, share()
    board.close()


@measures(Figure(WRITTEN, "MB", 10), Figure("flushes a day", "", 500))
def idle_writes(run: Run) -> Passes:
    """How much does an idle gate write to its card? Counted below the file system, for a day.

    The gate's folder is an ext4 file system on a loop device, whose counters (``/sys/block/*/stat``) count nothing else: data,
    the file system's own journal, and each flush. The measured hour takes a minute: everything that a gate does by the clock
    happens sixty times as often; it asks for its roster each second instead of each minute, and writes the receipt each 15 s
    instead of each 15 min. Making the device needs root; without it nothing is measured.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder, device = stack.enter_context(_device(run.fresh("disk")))
        except (OSError, subprocess.CalledProcessError) as error:
            run.notes[WRITTEN] = (
                f"not measured: a file system of its own cannot be made here ({error}); it takes root and a loop device"
            )
            return
        roster, _ = stack.enter_context(roster_server(run))
        mqtt, _light = stack.enter_context(uplink(run))
        config = write_config(folder, run.socket(), people.SMALL, roster={**roster, "fetch_every_s": 1}, mqtt=mqtt)
        gate = stack.enter_context(GateProcess(config, driven=True))
        gate.ready()
        gate.call("hurry", FASTER)
        gate.connected()
        time.sleep(10)  # until the start is over
        times = DAY_S / (COUNTED_S * FASTER)
        for _ in range(COUNTS):
            bytes_before, flushes_before = _count(device)
            time.sleep(COUNTED_S)
            bytes_after, flushes_after = _count(device)
            yield round((bytes_after - bytes_before) * times) / 1e6, round((flushes_after - flushes_before) * times)


@contextlib.contextmanager
def _device(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Give a folder on a fresh ext4 file system, and the counters of its device. Raises OSError or CalledProcessError."""
    image, mounted = folder / "image", folder / "mounted"
    with image.open("wb") as file:
        file.truncate(256 * 1024 * 1024)
    mounted.mkdir()
    # The kernel must do nothing later: it would be counted.
    _do("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    _do("mount", "-o", "loop,noatime", str(image), str(mounted))
    try:
        number = mounted.stat().st_dev
        (mounted / "gate").mkdir()
        yield mounted / "gate", Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    finally:
        _do("umount", str(mounted))


def _count(device: Path) -> tuple[int, int]:
    """Return the bytes and flushes that the device was asked for, once the page cache is written."""
    os.sync()
    fields = device.read_text(encoding="ascii").split()
    return int(fields[6]) * SECTOR_BYTES, int(fields[15])


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)

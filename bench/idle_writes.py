"""How much does an idle gate write to its card? Counted below the file system, for a day.

The gate's folder is an ext4 file system on a loop device, whose counters (``/sys/block/*/stat``) count nothing else: data,
the file system's own journal, and each flush. The measured hour takes a minute: everything that a gate does by the clock
happens sixty times as often; it asks for its roster each second instead of each minute, and writes the receipt each 15 s
instead of each 15 min. Making the device needs root; without it nothing is measured.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import people
from bench.gates import GateProcess, collector, write_config
from bench.harness import Figure, Run
from bench.peers import broker, connected, light_collector
from fabgate import wire
from fabgate.gate import daemon
from fabgate.gate.config import gate_yaml
from fabgate.gate.roster import http_source

#: How much faster than in a real gate the clock's events come.
FASTER = 60
PASSES = 3
PASS_S = 60.0
DAY_S = 86_400
SECTOR_BYTES = 512
MOST_MB, MOST_FLUSHES = 10, 500


class Count(NamedTuple):
    """What a block device was asked for since it was made."""

    bytes: int
    flushes: int


def measure(run: Run) -> list[Figure]:
    what = ("written a day", "flushes a day")
    try:
        with _device(run.fresh("disk")) as (folder, device):
            passes = _passes(run, folder / "gate", device)
    except (OSError, subprocess.CalledProcessError) as error:
        note = f"not measured: a file system of its own cannot be made here ({error}); it takes root and a loop device"
        return [run.figure(what[0], "MB", [], MOST_MB, note=note), run.figure(what[1], "", [], MOST_FLUSHES)]
    return [
        run.figure(what[0], "MB", [one.bytes / 1e6 for one in passes], MOST_MB),
        run.figure(what[1], "", [one.flushes for one in passes], MOST_FLUSHES),
    ]


def _passes(run: Run, folder: Path, device: Path) -> list[Count]:
    """Return each pass, multiplied to a day."""
    folder.mkdir()
    body = run.folder / "body.json"
    body.write_bytes(wire.encode(people.roster(range(1))))
    stored = people.stored(run.folder / "1k.db", people.SMALL)
    times = DAY_S / (PASS_S * FASTER)
    passes = []
    with collector(body) as url, broker(run) as mqtt, light_collector(mqtt["port"]):
        roster = {"url": url, "token_file": str(folder / "token"), "fetch_every_s": 1}
        written = write_config(folder, run.socket(), roster_db=stored, roster=roster, mqtt=mqtt)
        with GateProcess(written, run.socket(), module=__name__) as gate:
            gate.ready()
            connected(gate)
            time.sleep(10)  # until the start is over
            for number in range(1, PASSES + 1):
                before = _count(device)
                time.sleep(PASS_S)
                after = _count(device)
                found = Count(*(round((one - other) * times) for one, other in zip(after, before, strict=True)))
                passes.append(found)
                run.log(f"pass {number}: {found.bytes / 1e6:.2f} MB and {found.flushes} flushes a day")
    return passes


@contextlib.contextmanager
def _device(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Give a fresh ext4 file system and the counters of its device. Raises OSError or CalledProcessError."""
    image, mounted = folder / "image", folder / "mounted"
    with image.open("wb") as file:
        file.truncate(256 * 1024 * 1024)
    mounted.mkdir()
    # The kernel must do nothing later: it would be counted.
    _do("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    _do("mount", "-o", "loop,noatime", str(image), str(mounted))
    try:
        number = mounted.stat().st_dev
        yield mounted, Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    finally:
        _do("umount", str(mounted))


def _count(device: Path) -> Count:
    """Return the device's counters once the page cache is written."""
    os.sync()
    fields = device.read_text(encoding="ascii").split()
    return Count(int(fields[6]) * SECTOR_BYTES, int(fields[15]))


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    http_source.RECEIPT_EVERY_MS //= FASTER  # type: ignore[misc]  # a constant of the gate: here its hour is a minute
    sys.exit(daemon.run(gate_yaml.load(Path(sys.argv[1]))))

"""How long does a tap take on a gate, and a bare append to a file next to its journal?

``python -m bench.tap_pair FOLDER SOCKET PASSES TAPS`` prints one line a pass: the
median microseconds of the taps and of the appends. FOLDER holds the stored roster ``100k.db``.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from pathlib import Path

from bench import people
from bench.gates import LocalGate, wait_for, write_config
from fabgate.drivers.readers.simulated import SimulatedOptions, SimulatedReader
from fabgate.gate.journal.reader import JournalReader, StoredEntry


class Pair:
    """A gate and a bare file on the same disk, in turn."""

    def __init__(self, gate: LocalGate, folder: Path) -> None:
        self._gate = gate
        self._journal = JournalReader(folder / "state" / "journal.db")
        self._fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._choose = random.Random(2)  # the same in each run
        _, self._head, _ = self._journal.bounds()

    def measure(self, count: int) -> tuple[list[float], list[float]]:
        """Return the microseconds of `count` taps, and those of as many bare appends."""
        taps, bares = [], []
        for _ in range(count):
            taps.append(self._gate.tap(people.badge(self._choose.randrange(people.LARGE))))
            self._gate.stop()
            bares.append(self._bare(self._settled()))
        return taps, bares

    def _settled(self) -> bytes:
        """Wait until the session's end is on disk too; return the bytes of its start."""
        entries = wait_for("the session's end on disk", self._ended, look_s=0.0005)
        self._head = entries[-1].seq
        return next(one.body for one in entries if one.type == "session.started")

    def _ended(self) -> list[StoredEntry]:
        entries = self._journal.after(self._head, most=20)
        return entries if any(one.type == "session.ended" for one in entries) else []

    def _bare(self, body: bytes) -> float:
        began_ns = time.perf_counter_ns()
        os.write(self._fd, body)
        os.fdatasync(self._fd)
        return (time.perf_counter_ns() - began_ns) / 1000

    def close(self) -> None:
        """Close both files."""
        self._journal.close()
        os.close(self._fd)


def main(folder: Path, socket: str, passes: int, taps: int) -> None:
    """Measure, and print one line a pass."""
    config = write_config(folder, socket, roster_db=folder / "100k.db")
    reader = SimulatedReader(SimulatedOptions(control_socket=socket))
    with LocalGate(config, reader=reader) as gate:
        pair = Pair(gate, folder)
        pair.measure(10)
        for _ in range(passes):
            tap, bare = map(statistics.median, pair.measure(taps))
            print(tap, bare, flush=True)
        pair.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

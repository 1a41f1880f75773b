"""One run of one measurement: where it may write, and how it reports progress."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.figures import Figure, Measurement, short

HERE = Path(__file__).parent
ROOT = HERE.parent


class Run:
    """`folder` lies on the disk of the repository; `sockets` has a path short enough for a UNIX socket."""

    def __init__(self, id_: str, folder: Path, sockets: Path) -> None:
        self.id = id_
        self.folder = folder
        self.sockets = sockets
        #: Notes on figures that only the run knows, by what the figure measures.
        self.notes: dict[str, str] = {}
        self._began_s = time.monotonic()
        self._made = 0

    def log(self, text: str) -> None:
        """Print progress."""
        print(f"  {self.id:<13} {time.monotonic() - self._began_s:5.1f} s  {text}", flush=True)

    def fresh(self, name: str) -> Path:
        """Make a new folder."""
        self._made += 1
        path = self.folder / f"{self.id}-{name}-{self._made}"
        path.mkdir()
        return path

    def socket(self) -> str:
        """Return a new path for a socket."""
        self._made += 1
        return str(self.sockets / f"{self.id}-{self._made}")

    def take(self, measurement: Measurement) -> list[Figure]:
        """Measure, and return the figures with their passes."""
        passes = []
        for number, values in enumerate(measurement.passes(self), 1):
            passes.append(values)
            found = zip(measurement.figures, values, strict=True)
            texts = [f"{one.what} {short(value)} {one.unit}" for one, value in found if value is not None]
            self.log(f"pass {number}: {', '.join(texts)}")
        columns = zip(*passes, strict=True) if passes else [()] * len(measurement.figures)
        return [
            replace(
                one,
                id=self.id,
                passes=[float(f"{value:.5g}") for value in values if value is not None],
                note=self.notes.get(one.what, one.note),
            )
            for one, values in zip(measurement.figures, columns, strict=True)
        ]


def run(id_: str, measurement: Measurement) -> list[Figure]:
    """Run a measurement in a folder of its own on the disk of the repository."""
    print(f"{id_}:", flush=True)
    folder = Path(tempfile.mkdtemp(prefix=".tmp-", dir=HERE))
    sockets = Path(tempfile.mkdtemp(prefix="fabgate-bench-"))
    root, log = logging.getLogger(), logging.FileHandler(folder / "log")
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.INFO)  # as `fabgate run` does: log lines are part of a gate's cost
    try:
        return Run(id_, folder, sockets).take(measurement)
    finally:
        root.removeHandler(log)
        root.setLevel(level)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


def disk(path: Path) -> str:
    """Return the file system on which `path` lies, such as "ext4 on /dev/vda"."""
    best = ("", "?")
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        device, mounted, kind = line.split()[:3]
        if path.resolve().is_relative_to(mounted) and len(mounted) >= len(best[0]):
            best = (mounted, f"{kind} on {device}")
    return best[1]

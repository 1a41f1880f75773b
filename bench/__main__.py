"""Run all measurements, or the one that ``--only`` names. The exit code is 1 only if a measurement breaks."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.figures import Figure, Measurement, save, table
from bench.run import HERE, ROOT, disk, run

RESULTS = HERE / "results.json"
#: Where the function of each measurement is, in the order of the promises. It has the name of its id.
OF_THE_GATE = {
    "decide": "taps.decide",
    "live-price": "taps.decide",
    "tap-to-power": "taps.power",
    "tap-to-off": "taps.power",
    "off-in-stall": "taps.stalls",
    "tap-to-light": "taps.power",
    "panel-stall": "taps.stalls",
    "plug": "taps.plug",
    "roster-swap": "running.roster_swap",
    "roster-size": "running.sizes",
    "spi-transfers": "taps.reader",
    "chain": "taps.reader",
    "idle-cpu": "running.idle",
    "reader-idle": "running.reader_idle",
    "idle-writes": "running.idle",
    "memory": "running.sizes",
    "start": "running.sizes",
    "flush": "running.flush",
    "package-size": "running.packages",
    "install": "running.packages",
    "join": "running.packages",
}
OF_THE_COLLECTOR = {
    "ingest": "intake.backlog",
    "ingest-defaults": "intake.backlog",
    "ingest-pg": "intake.backlog",
    "ingest-history": "intake.backlog",
    "latency": "intake.all_gates",
    "fleet": "intake.all_gates",
    "pages": "workshop.lists",
    "reports": "workshop.reports",
    "export": "workshop.reports",
    "floor": "intake.floor",
    "roster-push": "intake.roster_push",
    "roster-crowd": "intake.roster_crowd",
    "first-page": "intake.first_page",
    "verify": "workshop.bills",
    "rate": "workshop.bills",
    "close": "workshop.bills",
    "statement": "workshop.reports",
}
IDS = OF_THE_GATE | OF_THE_COLLECTOR
#: The values of `--set`; the first is the default.
SETS = {"gate": OF_THE_GATE, "collector": OF_THE_COLLECTOR, "all": IDS}
#: Measured by the interpreters of `--beside` too: they depend most on Django, SQLite and Python.
TWICE = ("ingest", "pages")


def main(argv: Sequence[str] | None = None, *, results: Path = RESULTS) -> int:
    """Measure, print a table, write the results; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", metavar="ID", help=f"one of: {', '.join(IDS)}")
    parser.add_argument("--set", choices=SETS, default="gate", help="which of them, without --only")
    parser.add_argument("--results", metavar="FILE", type=Path, default=results, help="where the figures are written")
    parser.add_argument(
        "--beside",
        metavar="PYTHON",
        action="append",
        default=[],
        help=f"another environment's interpreter, which measures {' and '.join(TWICE)} too, each after our own",
    )
    args = parser.parse_args(argv)
    only = args.only
    if only is not None and only not in IDS:
        print(f"error: found the benchmark {only!r}, wanted one of: {', '.join(IDS)}", file=sys.stderr)
        return 2
    began_s = time.monotonic()
    figures: list[Figure] = []
    broken: list[str] = []
    for id_ in SETS[args.set] if only is None else (only,):
        try:
            figures += measure(id_)
            for python in args.beside if id_ in TWICE else ():
                figures += measured_by(python, id_)
        except Exception:  # noqa: BLE001 - the other measurements are worth having
            traceback.print_exc()
            broken.append(id_)
    save(figures, args.results)
    took = f"{time.monotonic() - began_s:.0f} s, {os.cpu_count()} cores, {disk(HERE)}, {versions()}"
    print(f"\n{table(figures)}\n\n{took}")
    if broken:
        print(f"error: these measurements broke: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def measurement(id_: str) -> Measurement:
    """Import one measurement."""
    found: Measurement = getattr(importlib.import_module(f"bench.{IDS[id_]}"), id_.replace("-", "_"))
    return found


def measure(id_: str) -> list[Figure]:
    """Run one measurement."""
    return run(id_, measurement(id_))


def versions() -> str:
    """Return the versions of Python, Django and SQLite."""
    return f"Python {platform.python_version()}, Django {version('Django')}, SQLite {sqlite3.sqlite_version}"


def measured_by(python: str, id_: str) -> list[Figure]:
    """Run one measurement with another interpreter; return its figures, which name it. Raises CalledProcessError."""
    program = "from bench.__main__ import versions; print(versions())"
    by = subprocess.run([python, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    print(f"{id_}, by {by}:", flush=True)
    with tempfile.TemporaryDirectory(prefix="fabgate-bench-") as folder:
        results = Path(folder, "results.json")
        subprocess.run([python, "-m", "bench", "--only", id_, "--results", str(results)], cwd=ROOT, check=True)
        rows = json.loads(results.read_text(encoding="utf-8"))
    return [Figure.of(row, by=by.split(",")[0]) for row in rows]


if __name__ == "__main__":
    sys.exit(main())

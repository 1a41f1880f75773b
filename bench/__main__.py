"""Run all measurements, or the one that ``--only`` names. The exit code is 1 only if a measurement breaks."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.harness import RESULTS, Figure, Run, disk, save, table

#: In the order of the promises. The module of an id has its name, with underscores.
GATE_IDS = (
    "decide",
    "live-price",
    "tap-to-power",
    "tap-to-off",
    "off-in-stall",
    "tap-to-light",
    "panel-stall",
    "plug",
    "roster-swap",
    "roster-size",
    "spi-transfers",
    "chain",
    "idle-cpu",
    "reader-idle",
    "idle-writes",
    "memory",
    "start",
    "flush",
)
COLLECTOR_IDS = (
    "ingest",
    "ingest-defaults",
    "ingest-pg",
    "ingest-history",
    "latency",
    "fleet",
    "pages",
    "reports",
    "export",
    "floor",
    "roster-push",
    "first-page",
    "verify",
    "rate",
    "close",
    "statement",
)
IDS = GATE_IDS + COLLECTOR_IDS
#: The values of `--set`; the first is the default.
SETS = {"gate": GATE_IDS, "collector": COLLECTOR_IDS, "all": IDS}
#: Measured by the interpreters of `--beside` too: they depend most on Django, SQLite and Python.
TWICE = ("ingest", "pages")
ROOT = Path(__file__).parents[1]


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
    print(
        f"\n{table(figures)}\n\n{time.monotonic() - began_s:.0f} s, {os.cpu_count()} cores, {disk(RESULTS.parent)}, {versions()}"
    )
    if broken:
        print(f"error: these measurements broke: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def measure(id_: str) -> list[Figure]:
    """Run one benchmark in a folder of its own on the disk of the repository."""
    print(f"{id_}:", flush=True)
    module = importlib.import_module(f"bench.{id_.replace('-', '_')}")
    folder = Path(tempfile.mkdtemp(prefix=".tmp-", dir=Path(__file__).parent))
    sockets = Path(tempfile.mkdtemp(prefix="fabgate-bench-"))
    root, log = logging.getLogger(), logging.FileHandler(folder / "log")
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.INFO)  # as `fabgate run` does: log lines are part of a gate's cost
    try:
        found: list[Figure] = module.measure(Run(id_, folder, sockets))
        return found
    finally:
        root.removeHandler(log)
        root.setLevel(level)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


def versions() -> str:
    """Return the versions of Python, Django and SQLite."""
    return f"Python {platform.python_version()}, Django {version('Django')}, SQLite {sqlite3.sqlite_version}"


def measured_by(python: str, id_: str) -> list[Figure]:
    """Run one benchmark with another interpreter; return its figures, which name it. Raises CalledProcessError."""
    program = "from bench.__main__ import versions; print(versions())"
    by = subprocess.run([python, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    print(f"{id_}, by {by}:", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="fabgate-bench-"))
    try:
        results = folder / "results.json"
        subprocess.run([python, "-m", "bench", "--only", id_, "--results", str(results)], cwd=ROOT, check=True)
        rows = json.loads(results.read_text(encoding="utf-8"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [Figure.of(row, by=by.split(",")[0]) for row in rows]


if __name__ == "__main__":
    sys.exit(main())

"""Run all measurements, or the one that ``--only`` names. Exit code 1 only when a measurement itself breaks."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from bench.harness import RESULTS, Figure, Run, disk, save, table

#: In the order of the promises, each one's; the module has the id's name, with underscores.
GATE_IDS = (
    "decide",
    "tap-to-power",
    "tap-to-off",
    "off-in-stall",
    "roster-swap",
    "roster-size",
    "spi-transfers",
    "chain",
    "idle-cpu",
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
)
IDS = GATE_IDS + COLLECTOR_IDS
#: What `--set` names; the first one is what runs where nothing is said.
SETS = {"gate": GATE_IDS, "collector": COLLECTOR_IDS, "all": IDS}


def main(argv: Sequence[str] | None = None, *, results: Path = RESULTS) -> int:
    """Measure, print a table, write the results; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", metavar="ID", help=f"one of: {', '.join(IDS)}")
    parser.add_argument("--set", choices=SETS, default="gate", help="which of them, where --only names none")
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
        except Exception:  # noqa: BLE001 - whatever broke in one measurement, the others are worth having
            traceback.print_exc()
            broken.append(id_)
    save(figures, results)
    print(f"\n{table(figures)}\n\n{time.monotonic() - began_s:.0f} s, {os.cpu_count()} cores, {disk(RESULTS.parent)}")
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
    root.setLevel(logging.INFO)  # as `fabgate run` does: a gate in this process pays for its log lines too
    try:
        found: list[Figure] = module.measure(Run(id_, folder, sockets))
        return found
    finally:
        root.removeHandler(log)
        root.setLevel(level)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

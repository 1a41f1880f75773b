"""The Debian packages: how large they are, and how long it takes from apt to the first page."""

from __future__ import annotations

import json
from collections.abc import Callable

from bench.figures import Figure, Passes, measures
from bench.run import ROOT, Run

DIST = ROOT / "dist/packages"
#: What the core of the packages' cases took (tests/install/report.py).
REPORT = ROOT / "build/install.json"
_SIZES = {"fabgate-gate": 1.0, "fabgate-mfrc522": 0.1, "fabgate-collector": 32.0}
_FIRST_PAGE = "from apt to the first page / apt alone, with Debian's own packages"
_SECONDS = "from apt to the first page"
_JOIN = "from the code of a gate to a gate that runs"


@measures(*(Figure(f"{name}, the largest", "MB", limit) for name, limit in _SIZES.items()))
def package_size(run: Run) -> Passes:
    """How much does a workshop download? The largest file of each package that `make packages` has left in dist/."""
    sizes = [[file.stat().st_size / 1e6 for file in DIST.glob(f"{name}_*.deb")] for name in _SIZES]
    if not all(sizes):
        for name in _SIZES:
            run.notes[f"{name}, the largest"] = f"not measured: {DIST} has no such package; make packages builds it"
        return
    yield [max(found) for found in sizes]


@measures(Figure(_JOIN, "s", 5))
def join(run: Run) -> Passes:
    """How long does somebody wait who has typed the code of a new gate? Until the gate runs, by the last `make test-install-core`."""
    yield from _reported(run, _JOIN, lambda took: [took["join_s"]])


@measures(Figure(_FIRST_PAGE, "ratio", 5), Figure(_SECONDS, "s"))
def install(run: Run) -> Passes:
    """How long does an admin wait who has the settings ready? In a real Debian 13, by the last `make test-install-core`.

    From `apt install fabgate-collector`, which downloads nothing, to the first page that answers. The peer is apt with the
    packages of Debian that both of ours need and recommend, in the same system just before.
    """
    yield from _reported(run, _FIRST_PAGE, lambda took: [took["first_page_s"] / took["debian_s"], took["first_page_s"]])


def _reported(run: Run, name: str, figures: Callable[[dict[str, float]], list[float]]) -> Passes:
    """Yield figures of the last report, or note under the name of the first one why there are none."""
    try:
        found = figures(json.loads(REPORT.read_text("utf-8")))
    except (OSError, ValueError, KeyError):
        run.notes[name] = f"not measured: {REPORT} is missing; make test-install-core writes it"
        return
    yield found

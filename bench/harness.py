"""Figures: what is measured, whether it meets its goal, and the table of all."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSES = 5
RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Figure:
    """One measured figure of the benchmark `id`; its value is the median of `passes`, None where there are none.

    `limit` is the most that meets the goal, or with `at_least` the least; without one the figure is only reported.
    """

    id: str
    what: str
    unit: str
    passes: Sequence[float]
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def value(self) -> float | None:
        """Return the median of the passes."""
        return statistics.median(self.passes) if self.passes else None

    @property
    def goal(self) -> str:
        """Return the goal as the table shows it."""
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:g}"

    @property
    def meets(self) -> bool | None:
        """Return whether the goal is met; None if nothing was measured or promised."""
        if self.value is None or self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def row(self) -> dict[str, object]:
        """Return the figure as ``results.json`` has it."""
        return {
            "id": self.id,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "goal": self.goal,
            "meets": self.meets,
            "passes": list(self.passes),
            "note": self.note,
        }

    @classmethod
    def of(cls, row: dict[str, Any], *, by: str) -> Figure:
        """Return the figure of a row of another's ``results.json``; `by` is added to what it names."""
        sign, _, goal = row["goal"].partition(" ")
        what, limit, note = f"{row['what']} ({by})", float(goal) if goal else None, row["note"]
        return cls(row["id"], what, row["unit"], row["passes"], limit, at_least=sign == ">=", note=note)


class Run:
    """One run of one benchmark: where it may write, and how it reports progress.

    `folder` lies on the disk of the repository; `sockets` has a path short enough for a UNIX socket.
    """

    def __init__(self, id_: str, folder: Path, sockets: Path) -> None:
        self.id = id_
        self.folder = folder
        self.sockets = sockets
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

    def figure(
        self,
        what: str,
        unit: str,
        passes: Sequence[float],
        limit: float | None = None,
        *,
        at_least: bool = False,
        note: str = "",
    ) -> Figure:
        """Return a figure of this benchmark."""
        return Figure(self.id, what, unit, [_rounded(one) for one in passes], limit, at_least=at_least, note=note)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a `share` (0 to 1) of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table, every pass included."""
    words = {True: "yes", False: "NO", None: "-"}
    rows = [("id", "what", "value", "unit", "goal", "meets", "passes")]
    for one in figures:
        value = "not measured" if one.value is None else _short(one.value)
        rows.append((one.id, one.what, value, one.unit, one.goal, words[one.meets], " ".join(map(_short, one.passes))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{one.id}, {one.what}: {one.note}" for one in figures if one.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def save(figures: Sequence[Figure], path: Path = RESULTS) -> None:
    """Write ``results.json``."""
    path.write_text(json.dumps([one.row() for one in figures], indent=1) + "\n", encoding="utf-8")


def disk(path: Path) -> str:
    """Return the file system on which `path` lies, such as "ext4 on /dev/vda"."""
    best = ("", "?")
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        device, mounted, kind = line.split()[:3]
        if path.resolve().is_relative_to(mounted) and len(mounted) >= len(best[0]):
            best = (mounted, f"{kind} on {device}")
    return best[1]


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")

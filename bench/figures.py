"""Figures: what each pass of a measurement gives, whether it meets its goal, and the table of all."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.run import Run

PASSES = 5
#: What a measurement yields: for each pass a value of each figure, or None where the pass does not count for it.
Passes = Iterator[Sequence[float | None]]


@dataclass(frozen=True)
class Figure:
    """One figure of a measurement; its value is the median of `passes`, None without passes.

    `limit` is the most that meets the goal, or with `at_least` the least; without one the figure is only reported.
    """

    what: str
    unit: str
    limit: float | None = None
    at_least: bool = False
    note: str = ""
    id: str = ""
    passes: Sequence[float] = ()

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
        columns = ("id", "what", "value", "unit", "goal", "meets", "passes", "note")
        return {column: getattr(self, column) for column in columns}

    @classmethod
    def of(cls, row: dict[str, Any], *, by: str) -> Figure:
        """Return the figure of a row of another's ``results.json``; `by` is added to what it names."""
        sign, _, goal = row["goal"].partition(" ")
        limit = float(goal) if goal else None
        what = f"{row['what']} ({by})"
        return cls(what, row["unit"], limit, sign == ">=", row["note"], row["id"], row["passes"])


class Measurement:
    """A function that measures, and the figures whose values each of its passes yields, in the same order."""

    def __init__(self, passes: Callable[[Run], Passes], figures: Sequence[Figure]) -> None:
        self.passes = passes
        self.figures = figures


def measures(*figures: Figure) -> Callable[[Callable[[Run], Passes]], Measurement]:
    """Make a measurement of a function that yields the values of these figures."""
    return lambda passes: Measurement(passes, figures)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a `share` (0 to 1) of the values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def in_turn(number: int, *sides: Callable[[], Any]) -> list[Any]:
    """Run both sides of a comparison, the first one first in odd passes; return their results as given."""
    order = range(len(sides)) if number % 2 else reversed(range(len(sides)))
    found = {index: sides[index]() for index in order}
    return [found[index] for index in range(len(sides))]


def turns(times: int, *sides: Callable[[], Any]) -> list[list[Any]]:
    """Let the sides of a comparison take turns, `times` each; return the results of each side."""
    rounds = [[side() for side in sides] for _ in range(times)]
    return [list(results) for results in zip(*rounds, strict=True)]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table, every pass included."""
    words = {True: "yes", False: "NO", None: "-"}
    rows = [("id", "what", "value", "unit", "goal", "meets", "passes")]
    for one in figures:
        value = "not measured" if one.value is None else short(one.value)
        rows.append((one.id, one.what, value, one.unit, one.goal, words[one.meets], " ".join(map(short, one.passes))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{one.id}, {one.what}: {one.note}" for one in figures if one.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def save(figures: Sequence[Figure], path: Path) -> None:
    """Write ``results.json``."""
    path.write_text(json.dumps([one.row() for one in figures], indent=1) + "\n", encoding="utf-8")


def short(value: float) -> str:
    """Return a value with three digits, or more before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"

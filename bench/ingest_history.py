"""Do a million stored sessions slow the ingest down? Compared with an empty collector, in turns within a pass."""

from __future__ import annotations

from collections.abc import Callable

from bench import books, ingesting
from bench.collector import empty
from bench.harness import PASSES, Figure, Run

LARGE = 1_000_000


def measure(run: Run) -> list[Figure]:
    full = books.cached(run, LARGE)
    run.log("a million sessions are there")
    fresh: list[ingesting.Pace] = []
    old: list[ingesting.Pace] = []
    for number in range(1, PASSES + 1):
        new = empty(run)
        sides: list[Callable[[], None]] = [
            lambda: fresh.append(ingesting.ours(run, new, f"p{number}", tuned=True)),  # noqa: B023 (in this very pass)
            lambda: old.append(ingesting.ours(run, full, f"p{number}", tuned=True)),  # noqa: B023
        ]
        for side in sides if number % 2 else sides[::-1]:
            side()
        run.log(f"pass {number}: {old[-1].rate:.0f}/s against {fresh[-1].rate:.0f}/s")
    ratios = [one.rate / other.rate for one, other in zip(old, fresh, strict=True)]
    return [
        run.figure(
            "20,000 entries with a million sessions, against an empty collector", "ratio", ratios, 0.4, at_least=True
        ),
        run.figure("entries stored with a million sessions", "1/s", [one.rate for one in old]),
        run.figure("entries stored in an empty collector", "1/s", [one.rate for one in fresh]),
    ]

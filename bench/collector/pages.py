"""Asks a collector for pages (answers.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from bench.collector.home import Home
from bench.collector.pace import OWN
from bench.process import BenchError, Process

#: How many answers are tried for one at the computer's own pace, before a slower one is accepted.
TRIES = 6
#: Of how many answers the median counts.
TIMES = 5


class Pages:
    """Gets pages as a manager does."""

    def __init__(self, process: Process) -> None:
        self._process = process
        #: How many answers came at the computer's own pace, and how many slower ones were accepted.
        self._own = self._slow = 0

    def get(self, address: str) -> dict[str, Any]:
        """Return the measurements of one answer. Raises BenchError unless its status is 200."""
        found: dict[str, Any] = self._process.call("get", address)
        if found["status"] != 200:
            raise BenchError(f"{address} was answered with {found['status']}")
        return found

    def at_pace(self, address: str) -> dict[str, Any]:
        """Return the measurements of an answer at the computer's own pace, or of the nearest one."""
        found = []
        for _ in range(TRIES):
            found.append(self.get(address))
            if found[-1]["pace"] <= OWN:
                self._own += 1
                return found[-1]
        self._slow += 1
        return min(found, key=lambda one: one["pace"])

    def ms(self, address: str) -> float:
        """Return how long one answer took, at the computer's own pace."""
        return float(self.at_pace(address)["ms"])

    def median_ms(self, address: str) -> float:
        """Return the median of some answers."""
        return median(self.ms(address) for _ in range(TIMES))

    @property
    def paced(self) -> str:
        """Return a note on answers that count although the computer was slower than it can be; empty if there are none."""
        both = self._slow + self._own
        return f"{self._slow} of {both} answers at a slower pace than the computer's own" if self._slow else ""


@contextmanager
def open_pages(home: Home) -> Iterator[Pages]:
    """Open the pages of a collector."""
    with home.calling("answers") as process:
        yield Pages(process)

"""A client of ``bench.page_process``: asks one collector for pages."""

from __future__ import annotations

from typing import Any, Self

from bench.collector import Child, Home
from bench.gates import BenchError
from bench.pace import OWN

#: How many answers are tried for one at the computer's own pace, before a slower one is accepted.
TRIES = 6


class PageClient:
    """Gets pages as a manager does."""

    def __init__(self, home: Home) -> None:
        self._child = Child("bench.page_process", home)
        self._child.ready()
        #: How many answers came at the computer's own pace, and how many slower ones were accepted.
        self.own, self.slow = 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()

    def get(self, address: str) -> dict[str, Any]:
        """Return the measurements of one answer. Raises BenchError unless its status is 200."""
        found: dict[str, Any] = self._child.ask(address)
        if found["status"] != 200:
            raise BenchError(f"{address} was answered with {found['status']}")
        return found

    def at_pace(self, address: str) -> dict[str, Any]:
        """Return the measurements of an answer at the computer's own pace, or of the nearest one."""
        found = []
        for _ in range(TRIES):
            found.append(self.get(address))
            if found[-1]["pace"] <= OWN:
                self.own += 1
                return found[-1]
        self.slow += 1
        return min(found, key=lambda one: one["pace"])

    def ms(self, address: str) -> float:
        """Return how long one answer took, at the computer's own pace."""
        return float(self.at_pace(address)["ms"])

    @property
    def paced(self) -> str:
        """Return a note on answers that count although the computer was slower than it can be; empty if there are none."""
        return (
            f"{self.slow} of {self.slow + self.own} answers at a slower pace than the computer's own"
            if self.slow
            else ""
        )

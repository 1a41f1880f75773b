"""Who is asked for pages? A process of bench.asker on one collector."""

from __future__ import annotations

from typing import Any, Self

from bench.collector import Child, Home
from bench.gates import BenchError
from bench.pace import OWN

#: So often an answer is asked for at the computer's own pace, before one at another pace has to do.
TRIES = 6


class Asker:
    """Answers addresses as a manager gets them."""

    def __init__(self, home: Home) -> None:
        self._child = Child("bench.asker", home)
        self._child.ready()
        #: How many answers there were at the computer's own pace, and how many that had to do.
        self.own, self.slow = 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()

    def get(self, address: str) -> dict[str, Any]:
        """Return what it says of one answer. Raises BenchError for another than 200."""
        found: dict[str, Any] = self._child.ask(address)
        if found["status"] != 200:
            raise BenchError(f"{address} was answered with {found['status']}")
        return found

    def at_pace(self, address: str) -> dict[str, Any]:
        """Return what it says of an answer at the computer's own pace; where it never is, of the one nearest to it."""
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
        """Return in words how many answers count although the computer was slower than it can be; empty: none."""
        return (
            f"{self.slow} of {self.slow + self.own} answers at a slower pace than the computer's own"
            if self.slow
            else ""
        )

"""Who is asked for pages? A process of bench.asker on one collector."""

from __future__ import annotations

from typing import Any, Self

from bench.collector import Child, Home
from bench.gates import BenchError


class Asker:
    """Answers addresses as a manager gets them."""

    def __init__(self, home: Home) -> None:
        self._child = Child("bench.asker", home)
        self._child.ready()

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

    def ms(self, address: str) -> float:
        """Return how long one answer took."""
        return float(self.get(address)["ms"])

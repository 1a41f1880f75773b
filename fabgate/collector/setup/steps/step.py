"""What a step is."""

from __future__ import annotations

from typing import Protocol


class Step(Protocol):
    """One part of a collector."""

    def plan(self) -> list[str]:
        """Return what is missing, as orders in words; nothing is changed. Raises FabgateError and OSError."""
        ...

    def do(self) -> None:
        """Do what `plan` says. Interrupted anywhere, it can be called again. Raises FabgateError and OSError."""
        ...

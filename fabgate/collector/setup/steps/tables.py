"""The tables of the collector, which the broker's accounts come from."""

from __future__ import annotations

from dataclasses import dataclass

from fabgate.collector.setup import paths, systemd
from fabgate.computer import Computer


@dataclass(frozen=True, slots=True)
class Tables:
    """Makes them, or brings them to this version. A collector that runs has them."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say so, unless the collector runs."""
        return [] if systemd.is_active(self.computer, paths.WEB) else ["make the tables of the books, or update them"]

    def do(self) -> None:
        """Let the account of the collector do it: a file of root would keep it from its own books."""
        self.computer.need(paths.PROGRAM, "migrate")

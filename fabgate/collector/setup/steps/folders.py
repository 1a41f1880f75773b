"""The folders of the books and of their copies, which belong to the collector's account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.setup import paths
from fabgate.computer import Computer

_FOLDERS: Final = {paths.DATA: "the books", paths.COPIES: "their copies"}


@dataclass(frozen=True, slots=True)
class Folders:
    """Makes them."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say which ones are missing."""
        return [f"make the folder {name} for {what}" for name, what in self._missing().items()]

    def do(self) -> None:
        """Make each one that is missing."""
        owner = ("-o", paths.ACCOUNT, "-g", paths.ACCOUNT)
        for name in self._missing():
            self.computer.need("install", "-d", "-m", "700", *owner, name)

    def _missing(self) -> dict[str, str]:
        return {name: what for name, what in _FOLDERS.items() if not self.computer.is_there(name)}

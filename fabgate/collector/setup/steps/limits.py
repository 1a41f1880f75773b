"""The limits of connections for each address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.setup import paths, systemd
from fabgate.computer import Computer

_NFT: Final = "/usr/sbin/nft"


@dataclass(frozen=True, slots=True)
class Limits:
    """Loads fabgate.nft at each start, where nftables is installed. A file that a person changed stays."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say so, if it is not loaded."""
        if not self.computer.is_there(_NFT) or self._is_loaded():
            return []
        return [f"limit the connections of each address, as {paths.FIREWALL} says"]

    def do(self) -> None:
        """Copy the file if there is none, and load it."""
        if not self.computer.is_there(paths.FIREWALL):
            self.computer.write(paths.FIREWALL, f"{self.computer.text(f'{paths.SHIPPED}/fabgate.nft')}\n")
        systemd.change(self.computer, "enable --now", paths.FIREWALL_UNIT)

    def _is_loaded(self) -> bool:
        # The way by hand: /etc/nftables.conf includes the file (docs/install-by-hand.md).
        if paths.FIREWALL in self.computer.text("/etc/nftables.conf"):
            return True
        unit = paths.FIREWALL_UNIT
        return systemd.is_enabled(self.computer, unit) and systemd.is_active(self.computer, unit)

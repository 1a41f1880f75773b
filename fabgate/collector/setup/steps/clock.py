"""The clock: gates have none of their own, and take the time from the collector, also without internet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.setup import systemd
from fabgate.collector.setup.authority.names import NETWORKS
from fabgate.computer import Computer

UNIT: Final = "chrony.service"
_FILE: Final = "/etc/chrony/conf.d/fabgate.conf"
_TEXT: Final = "\n".join(
    (
        "# Written by fabgate-collector setup. Gates take their time from this computer, which answers local networks only.",
        *(f"allow {network}" for network in NETWORKS),
        "# It also answers when it has no time server itself. 10 says how little it then knows: others are preferred.",
        "local stratum 10",
        "",
    )
)


@dataclass(frozen=True, slots=True)
class Clock:
    """Lets chrony answer gates. Another time server stays as it is."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say so, if chrony is installed and does not do it yet."""
        if not self.computer.is_there("/usr/sbin/chronyd"):
            return []
        if not self._is_written():
            return [f"let gates take their time from this computer ({_FILE})"]
        if systemd.is_older(self.computer, UNIT, _FILE):
            return ["restart chrony, which has not read that file"]
        return []

    def do(self) -> None:
        """Write the file, and restart chrony if it runs: in a container it does not, and the host sets the clock."""
        if not self._is_written():
            self.computer.write(_FILE, _TEXT)
        if systemd.is_active(self.computer, UNIT):
            systemd.change(self.computer, "restart", UNIT)

    def _is_written(self) -> bool:
        return self.computer.text(_FILE) == _TEXT.strip()

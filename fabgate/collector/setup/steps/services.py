"""The processes of the collector, its ports, and its timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.setup import paths, systemd
from fabgate.computer import Computer

_UNITS: Final = (*paths.SOCKETS.values(), paths.TARGET, *paths.TIMERS)


@dataclass(frozen=True, slots=True)
class Services:
    """Enables and starts them, and restarts them after their settings changed."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say what does not run, or runs with earlier settings."""
        lines = []
        if self._missing():
            lines.append("start the collector with its pages, nightly copies and renewals, now and with this computer")
        if self._is_outdated():
            lines.append(f"restart the collector, which has not read {paths.SETTINGS}")
        return lines

    def do(self) -> None:
        """Do that."""
        was_outdated = self._is_outdated()
        if missing := self._missing():
            self.computer.need("systemctl", "enable", *missing)
            # The ports first: a process that finds them open takes them.
            for unit in missing:
                self.computer.need("systemctl", "start", unit)
        if was_outdated:
            self.computer.need("systemctl", "restart", paths.TARGET)

    def _missing(self) -> list[str]:
        return [
            unit
            for unit in _UNITS
            if not (systemd.is_enabled(self.computer, unit) and systemd.is_active(self.computer, unit))
        ]

    def _is_outdated(self) -> bool:
        return any(systemd.is_older(self.computer, paths.WEB, name) for name in (paths.SETTINGS, paths.PASSWORD))

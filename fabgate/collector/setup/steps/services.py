"""The processes of the collector, its ports, and its timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.setup import paths, settings_file, systemd
from fabgate.computer import Computer

_BACKUP: Final = "fabgate-collector-backup"
#: What makes a first copy now, so that nobody has to wait for the night to know that it works.
_COPY: Final = f"{_BACKUP}.service"


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
        if not self._has_copy():
            lines.append(f"make a first copy of the books in {paths.COPIES}")
        return lines

    def do(self) -> None:
        """Do that."""
        was_outdated = self._is_outdated()
        if missing := self._missing():
            systemd.change(self.computer, "enable", *missing)
            # The ports first: a process that finds them open takes them.
            for unit in missing:
                systemd.change(self.computer, "start", unit)
        if was_outdated:
            systemd.change(self.computer, "restart", paths.TARGET)
        if not self._has_copy():
            systemd.change(self.computer, "start", _COPY)

    def _missing(self) -> list[str]:
        timers = [timer for timer in paths.TIMERS if not (self._is_on_postgresql() and timer.startswith(_BACKUP))]
        return [
            unit
            for unit in (*paths.SOCKETS.values(), paths.TARGET, *timers)
            if not (systemd.is_enabled(self.computer, unit) and systemd.is_active(self.computer, unit))
        ]

    def _is_outdated(self) -> bool:
        return systemd.is_older(self.computer, paths.WEB, paths.SETTINGS)

    def _has_copy(self) -> bool:
        folder = self.computer.path(paths.COPIES)
        return self._is_on_postgresql() or any(folder.glob("*.tar.gz"))

    def _is_on_postgresql(self) -> bool:
        """Say whether the database is on PostgreSQL, which pg_dump copies instead (docs/install-by-hand.md)."""
        settings = settings_file.read(self.computer.text(paths.SETTINGS))
        return bool(settings.get("FABGATE_DATABASE_URL") or settings.get("FABGATE_DATABASE_URL_FILE"))

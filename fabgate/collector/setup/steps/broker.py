"""The broker of the collector: a Mosquitto of its own, beside any other one."""

from __future__ import annotations

from dataclasses import dataclass

from fabgate.collector.setup import debian_mosquitto, paths, systemd
from fabgate.computer import Computer


@dataclass(frozen=True, slots=True)
class Broker:
    """Enables and starts it, and restarts it after its certificate was renewed (docs/decisions/0145)."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say what is missing."""
        lines = []
        if debian_mosquitto.is_needless(self.computer):
            lines.append("switch off mosquitto.service of Debian, which came with this package and which nobody set up")
        if not self._runs():
            lines.append(f"start the broker, now and with this computer; gates reach it at port {paths.GATE_PORT}")
        return [*lines, *RenewedBroker(self.computer).plan()]

    def do(self) -> None:
        """Do that."""
        if debian_mosquitto.is_needless(self.computer):
            systemd.change(self.computer, "disable --now", debian_mosquitto.UNIT)
        if not self._runs():
            systemd.change(self.computer, "enable --now", paths.BROKER_UNIT)
        RenewedBroker(self.computer).do()

    def _runs(self) -> bool:
        unit = paths.BROKER_UNIT
        return systemd.is_enabled(self.computer, unit) and systemd.is_active(self.computer, unit)


@dataclass(frozen=True, slots=True)
class RenewedBroker:
    """Restarts a broker that runs with an earlier certificate. One that a person stopped stays off."""

    computer: Computer

    def plan(self) -> list[str]:
        """Say so."""
        if not systemd.is_older(self.computer, paths.BROKER_UNIT, paths.BROKER):
            return []
        return ["restart the broker with its new certificate; gates connect again by themselves"]

    def do(self) -> None:
        """Restart it, if its certificate is newer."""
        if self.plan():
            systemd.change(self.computer, "restart", paths.BROKER_UNIT)

"""Runs every check of a gate, in the order in which a person puts things right."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final

from fabgate.doctor.finding import Finding, checked
from fabgate.doctor.system import System
from fabgate.gate.doctor import connections, facts, machine, pi, storage
from fabgate.gate.doctor.facts import Facts

CHECKS: Final[dict[str, Callable[[Facts], Finding]]] = {
    "configuration": machine.configuration,
    "gate": machine.gate,
    "unit": machine.unit,
    "line-off": machine.line_off,
    "pin-release": lambda found: pi.pin_release(found.persistent, is_pi=found.is_pi),
    "strict-gpiod": lambda found: pi.strict_gpiod(found.config_txt, found.persistent, is_pi=found.is_pi),
    "pin-library": machine.pin_library,
    "lgpio-folder": lambda found: pi.lgpio_folder(found.unit),
    "pins": machine.pins,
    "boot-pins": lambda found: pi.boot_pins(found.config_txt, found.pin_keys),
    "spi": machine.spi,
    "i2c": machine.i2c,
    "reader-device": machine.reader_device,
    "reader": machine.reader,
    "output": machine.output,
    "watchdog": machine.watchdog,
    "power-supply": lambda found: pi.power_supply(facts.throttled(found.system), is_pi=found.is_pi),
    "clock": storage.clock,
    "disk-kind": storage.disk_kind,
    "disk-space": storage.disk_space,
    "disk-speed": storage.disk_speed,
    "card-wear": lambda found: pi.card_wear(facts.card(found.system, found.config.state_dir)),
    "network": connections.network,
    "collector": connections.collector,
    "broker": connections.broker,
    "broker-rights": connections.broker_rights,
    "certificate": connections.certificate,
    "roster": storage.roster,
    "account-files": storage.account_files,
    "secret-files": storage.secret_files,
    "default-user": connections.default_user,
    "open-ports": connections.open_ports,
}


def examine(config: Path, system: System, *, only: Collection[str] = CHECKS) -> list[Finding]:
    """Examine the gate of a gate.yaml, on the computer whose files `system` reads; `only` names the checks to run."""
    found = Facts(config, system)
    return [checked(name, partial(check, found)) for name, check in CHECKS.items() if name in only]

"""Runs every check of a collector, in the order in which a person puts things right."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from fabgate.collector.processes.doctor import checks
from fabgate.collector.processes.doctor.facts import Facts
from fabgate.doctor.finding import Finding, checked

CHECKS: Final[dict[str, Callable[[Facts], Finding]]] = {
    "environment": checks.environment,
    "database": checks.database,
    "migrations": checks.migrations,
    "units": checks.units,
    "ingest": checks.ingest,
    "worker": checks.worker,
    "web": checks.web,
    "pages": checks.pages,
    "broker": checks.broker,
    "broker-rights": checks.broker_rights,
    "broker-accounts": checks.broker_accounts,
    "certificate": checks.certificate,
    "authority": checks.authority,
    "gates": checks.gates,
    "books": checks.books,
    "copies": checks.copies,
    "mail": checks.mail,
    "clock": checks.clock,
    "time-zone": checks.time_zone,
    "disk-kind": checks.disk_kind,
    "disk-space": checks.disk_space,
    "disk-speed": checks.disk_speed,
    "secret-files": checks.secret_files,
    "default-user": checks.default_user,
    "open-ports": checks.open_ports,
}


def examine(facts: Facts, *, only: Collection[str] = CHECKS) -> list[Finding]:
    """Examine a collector and its computer; `only` names the checks to run."""
    return [checked(name, partial(check, facts)) for name, check in CHECKS.items() if name in only]

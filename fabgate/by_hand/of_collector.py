"""Checks of a collector before its move: its settings, its sinks, and whether the package has to change its tables."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import entry_points
from typing import Final

from fabgate.by_hand.found import Found, mapping
from fabgate.by_hand.part import COLLECTOR
from fabgate.computer import Computer
from fabgate.doctor.system import existing

#: Where the copies are: that of the nightly timer, and those that `migrate` makes.
COPIES: Final = "/var/lib/fabgate-collector-copies"
_DATA: Final = "/var/lib/fabgate-collector"
#: What changes with the tables of a database of SQLite. Not `.counted` and `.audit-head`: if the package had been started, they
#: tell the collector that its database was restored.
DATABASE: Final = ("collector.db", "collector.db-wal", "collector.db-shm", ".used-by", ".updating")
#: What the doctor must find in order.
_WANTED: Final = ("environment", "database", "migrations")
#: The words for tables that `migrate` brings up to date (processes/doctor/judging.py, which a gate does not have).
MISSING: Final = "migrations are missing"
_ROOM_MB: Final = 50


def examine(computer: Computer, found: Found) -> None:
    """Let the package read settings and database, and see that it knows each sink."""
    for one in _findings(computer, found):
        if one["outcome"] != "fail" or one["id"] not in _WANTED:
            continue
        if one["id"] == "migrations" and MISSING in one["text"]:
            found.tables = one["text"]
        else:
            found.wrong.append(f"{one['text']}; {one['next']}")
    if found.tables:
        _can_copy(computer, found)
    known = {point.name for point in entry_points(group="fabgate.sinks")}
    path = sinks(computer)
    for name, section in mapping(computer.text(path)).items():
        driver = section.get("driver") if isinstance(section, dict) else None
        if isinstance(driver, str) and driver not in known:
            found.wrong.append(f"{path}: {name}: found the driver {driver}, which the package does not have")


def sinks(computer: Computer) -> str:
    """Return the path of the settings of the sinks."""
    return computer.environment().get("FABGATE_SINKS") or f"{_data(computer)}/sinks.yaml"


def tables(computer: Computer) -> str:
    """Return what the doctor says of the tables, "" if it says nothing."""
    return next((one["text"] for one in _findings(computer, Found()) if one["id"] == "migrations"), "")


def _findings(computer: Computer, found: Found) -> list[dict[str, str]]:
    answer = computer.run(COLLECTOR.program, "doctor", "--json")
    try:
        return list(json.loads(answer.out)["findings"])
    except (ValueError, KeyError, TypeError):
        found.wrong.append(f"{COLLECTOR.program} doctor: found exit code {answer.code}, wanted findings: {answer.said}")
        return []


def _can_copy(computer: Computer, found: Found) -> None:
    """`migrate` makes a copy. Of SQLite the files are copied too, so that they can come back exactly as they were."""
    environment = computer.environment()
    if environment.get("FABGATE_DATABASE_URL") or environment.get("FABGATE_DATABASE_URL_FILE"):
        if computer.run("pg_dump", "--version").code:
            found.wrong.append(
                "found no pg_dump, wanted it for a copy of the database before its tables change: apt install postgresql-client"
            )
        found.notes.append(
            "once the tables of PostgreSQL have changed, this command only goes on, and not back;"
            f" `{COLLECTOR.program} rollback` then says the way back"
        )
        return
    found.kept = [f"{_data(computer)}/{name}" for name in DATABASE]
    size = sum(path.stat().st_size for name in found.kept if (path := computer.path(name)).is_file()) // 1_000_000
    for folder in ("/var/backups", COPIES):
        free = shutil.disk_usage(existing(computer.path(folder))).free // 1_000_000
        if free < size + _ROOM_MB:
            found.wrong.append(
                f"found {free} MB free in {folder}, wanted {size + _ROOM_MB} MB for a copy of the database: make room"
            )


def _data(computer: Computer) -> str:
    return computer.environment().get("FABGATE_DATA") or _DATA

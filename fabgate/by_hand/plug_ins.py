"""Finds drivers and sinks of others that were installed into the environment by hand, and that the package does not have."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path

from fabgate.by_hand.part import OPT, Part
from fabgate.computer import Computer

_GROUPS = {
    "gate": ("fabgate.readers", "fabgate.outputs", "fabgate.panels", "fabgate.meters"),
    "collector": ("fabgate.sinks",),
}


@dataclass(frozen=True, slots=True)
class PlugIn:
    """A package of another author, with the names of its drivers as settings have them."""

    package: str
    version: str
    drivers: tuple[str, ...]
    #: What pip installs it from: a folder or an address, or a name with a version for an index.
    source: str


def only_by_hand(computer: Computer, part: Part) -> list[PlugIn]:
    """Return those of the installation by hand that the package does not find in its folder."""
    there = {one.package for one in _found(computer, part, f"{part.own_modules}/*.dist-info")}
    by_hand = _found(computer, part, f"{OPT}/lib/python3*/site-packages/*.dist-info")
    return [one for one in by_hand if one.package not in there]


def _found(computer: Computer, part: Part, pattern: str) -> list[PlugIn]:
    found = []
    for folder in computer.system.found(pattern):
        drivers = _drivers(folder, _GROUPS[part.name])
        name, _, version = folder.name.removesuffix(".dist-info").partition("-")
        package = re.sub(r"[-_.]+", "-", name).lower()
        if drivers and package != "fabgate":
            found.append(PlugIn(package, version, drivers, _source(folder) or f"{package}=={version}"))
    return found


def _source(folder: Path) -> str:
    """Return where a package came from that no index has (packaging.python.org, "Recording the direct URL origin")."""
    try:
        url = json.loads((folder / "direct_url.json").read_text("utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return str(url).removeprefix("file://")


def _drivers(folder: Path, groups: tuple[str, ...]) -> tuple[str, ...]:
    parser = ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # names keep their case
    try:
        parser.read_string((folder / "entry_points.txt").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, Error):
        return ()
    return tuple(name for group in groups if parser.has_section(group) for name in parser[group])

"""Checks before the first change whether the package can take the place of the installation by hand. Nothing is changed here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

import fabgate
from fabgate.by_hand import plug_ins, unit_changes, versions
from fabgate.by_hand.computer import Computer
from fabgate.by_hand.moving import is_active
from fabgate.by_hand.part import ETC_UNITS, GATE, OPT, Part

_GATE_YAML: Final = "/etc/fabgate/gate.yaml"
_DATA: Final = "/var/lib/fabgate-collector"
#: What belongs to a database of SQLite, and changes with its tables.
_DATABASE: Final = ("collector.db", "collector.db-wal", "collector.db-shm", ".counted", ".audit-head")
#: What `fabgate collector doctor` must find in order.
_WANTED: Final = ("environment", "database", "migrations")
_MISSING: Final = "migrations are missing"


@dataclass(slots=True)
class Found:
    """What was found: `wrong` ends the command, `notes` are for the person."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    drop_ins: dict[str, str] = field(default_factory=dict)
    migrates: bool = False
    kept: list[str] = field(default_factory=list)


def examine(computer: Computer, part: Part, *, ends_session: bool) -> Found:
    """Examine version, settings, plug-ins, units and, at a gate, whether somebody uses the machine."""
    found = Found()
    _version(computer, part, found)
    (_gate if part is GATE else _collector)(computer, part, found)
    found.wrong += unit_changes.with_old_paths(computer, part)
    for name in (*part.starters, *part.others):
        drop_in, left = unit_changes.changed(computer, part, name)
        if drop_in:
            folder = f"{name}.d"
            found.drop_ins[f"{ETC_UNITS}/{folder}/{unit_changes.DROP_IN}"] = drop_in
            lines = ", ".join(line for line in drop_in.splitlines() if line[:1] not in "#[")
            found.notes.append(f"{name}: a person changed it; a drop-in keeps {lines}")
        if left:
            found.notes.append(
                f"{name}: a person changed what the package needs as it is: not taken over: {', '.join(left)}"
            )
    if not ends_session:
        found.wrong += session(computer, part)
    return found


def session(computer: Computer, part: Part) -> Iterator[str]:
    """Yield a sentence if somebody uses the machine of this gate."""
    if part is not GATE or not any(is_active(computer, unit) for unit in part.running):
        return
    state_dir = _mapping(computer.text(_GATE_YAML)).get("state_dir") or "/var/lib/fabgate"
    try:
        status = json.loads(computer.text(f"{state_dir}/status.json") or "{}")
    except ValueError:
        status = {}
    if isinstance(status, dict) and status.get("session"):
        yield (
            f"the machine is in use (by {status.get('member') or 'somebody'}), and its power would go off: wait until the"
            " session has ended, or end it with --end-session"
        )


def _version(computer: Computer, part: Part, found: Found) -> None:
    answer = computer.run(f"{OPT}/bin/fabgate", "--version")
    old = answer.out.strip().removeprefix("fabgate ")
    if answer.code or not old:
        found.notes.append(
            f"{OPT}/bin/fabgate does not say its version ({answer.said}): the versions were not compared"
        )
        return
    older = versions.is_older(fabgate.__version__, old)
    if older:
        found.wrong.append(
            f"found fabgate {fabgate.__version__} in the package and {old} in {OPT}, wanted a package that is not older:"
            f" apt update, then apt install {part.package}"
        )
    elif older is None:
        found.notes.append(
            f"the versions {old} and {fabgate.__version__} cannot be compared: one of them names no commit"
        )


# --- a gate -----------------------------------------------------------------------------------------------------------


def _gate(computer: Computer, part: Part, found: Found) -> None:
    answer = computer.run(part.program, "check", _GATE_YAML, account=part.account)
    if answer.code:
        found.wrong += [f"{_GATE_YAML}: {line}" for line in answer.said.splitlines()]
    _plug_ins(computer, part, found, named=computer.text(_GATE_YAML))
    state_dir = _mapping(computer.text(_GATE_YAML)).get("state_dir")
    if not state_dir or not computer.is_there(f"{state_dir}/journal.db"):
        return
    answer = computer.run(part.program, "audit", "verify", "--state-dir", str(state_dir), account=part.account)
    if answer.code == 1:
        found.notes.append(f"the journal: {answer.said}")  # so it was before, and so it stays
    elif answer.code:
        found.wrong.append(f"the package cannot read the journal in {state_dir}: {answer.said}")


# --- a collector ------------------------------------------------------------------------------------------------------


def _collector(computer: Computer, part: Part, found: Found) -> None:
    for one in _doctor(computer, part, found):
        if one["outcome"] != "fail" or one["id"] not in _WANTED:
            continue
        if one["id"] == "migrations" and _MISSING in one["text"]:
            found.migrates = True
        else:
            found.wrong.append(f"{one['text']}; {one['next']}")
    if found.migrates:
        _keep(computer, found)
    environment = computer.environment()
    sinks = environment.get("FABGATE_SINKS") or f"{_data(computer)}/sinks.yaml"
    _sinks(computer, part, found, sinks)


def _doctor(computer: Computer, part: Part, found: Found) -> list[dict[str, str]]:
    answer = computer.run(part.program, "doctor", "--json")
    try:
        return list(json.loads(answer.out)["findings"])
    except (ValueError, KeyError, TypeError):
        found.wrong.append(f"{part.program} doctor: found exit code {answer.code}, wanted findings: {answer.said}")
        return []


def _keep(computer: Computer, found: Found) -> None:
    """Let the database be copied, so that it can come back if its tables cannot be changed."""
    environment = computer.environment()
    if environment.get("FABGATE_DATABASE_URL") or environment.get("FABGATE_DATABASE_URL_FILE"):
        found.wrong.append(
            "the package would change the tables of a PostgreSQL database, and this command could not bring them back:"
            " first update the installation by hand to the version of the package (docs/install.md, part 4)"
        )
        return
    found.kept = [f"{_data(computer)}/{name}" for name in _DATABASE]
    size = sum(path.stat().st_size for name in found.kept if (path := computer.path(name)).is_file())
    free = shutil.disk_usage(_existing(computer.path("/var/backups"))).free
    if free < size + 50_000_000:
        found.wrong.append(
            f"found {free // 1_000_000} MB free in /var/backups, wanted {size // 1_000_000 + 50} MB for a copy of the"
            " database: make room"
        )


def _sinks(computer: Computer, part: Part, found: Found, path: str) -> None:
    text = computer.text(path)
    known = _known_sinks()
    for name, section in _mapping(text).items():
        driver = section.get("driver") if isinstance(section, dict) else None
        if isinstance(driver, str) and driver not in known:
            found.wrong.append(f"{path}: {name}: found the driver {driver}, which the package does not have")
    _plug_ins(computer, part, found, named=text)


def _known_sinks() -> set[str]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - only a collector has sinks

    return {point.name for point in entry_points(group="fabgate.sinks")}


def _data(computer: Computer) -> str:
    return computer.environment().get("FABGATE_DATA") or _DATA


# --- both -------------------------------------------------------------------------------------------------------------


def _plug_ins(computer: Computer, part: Part, found: Found, *, named: str) -> None:
    words = set(_words(_yaml(named)))
    for one in plug_ins.only_by_hand(computer, part):
        how = plug_ins.how_to_install(part, one)
        if words & {*one.drivers}:
            found.wrong.append(f"the settings name {', '.join(one.drivers)} of {one.package} {one.version}: {how}")
        else:
            found.notes.append(
                f"{one.package} {one.version} is not in the package, and no setting names it; if you need it: {how}"
            )


def _words(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _words(value)
    elif isinstance(node, list):
        for value in node:
            yield from _words(value)
    elif isinstance(node, str):
        yield node


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None  # the program names the mistake


def _mapping(text: str) -> dict[str, Any]:
    found = _yaml(text)
    return found if isinstance(found, dict) else {}


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())

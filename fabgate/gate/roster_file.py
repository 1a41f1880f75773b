"""How does a gate without a collector get its roster? From a file that a person keeps: YAML, JSON or CSV.

Members are listed with plain UIDs in any spelling (see fabgate.badge); the file is read with all its mistakes
reported at once, by line where the format has lines, and none of it is used if there is one.

.. code-block:: yaml

    machine: {limit_s: 7200}          # optional: overrides gate.yaml
    members:
      - {id: m-1, name: Ada, badges: [04:A1:B2:C3]}
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from fabgate import badge, wire
from fabgate.errors import UsageError
from fabgate.gate.people import machine_rules, member

MAX_BYTES: Final = 64 * 1024 * 1024
_LISTS: Final = ("badges", "windows", "reasons")


def read(path: Path, *, key: bytes, topics: wire.GateTopics, fallback: wire.MachineRules) -> wire.Roster:
    """Read a roster file; badges become digests under `key`, the version is the file's time. Raises UsageError."""
    text, version = _load(path)
    people, extra = _parse(path, text)
    mistakes: list[str] = []
    members = list(_members(people, key, mistakes))
    machine = _machine(extra.get("machine"), fallback, mistakes)
    if not people:
        mistakes.append("found no member; an empty roster would lock everybody out. Wanted at least one")
    if mistakes:
        raise UsageError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return wire.Roster(
        version=version,
        site=topics.site,
        gate=topics.gate,
        tz=str(extra.get("tz", "UTC")),
        machine=machine,
        members=members,
    )


def _load(path: Path) -> tuple[str, int]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES} bytes; is it a roster?")
        return path.read_text(encoding="utf-8-sig"), path.stat().st_mtime_ns // 1_000_000
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path}: the roster cannot be read ({error.strerror})") from error


def _members(people: list[tuple[str, Any]], key: bytes, mistakes: list[str]) -> Iterator[wire.Member]:
    holders: dict[str, str] = {}
    for where, raw in people:
        try:
            found = msgspec.convert(raw, wire.Member, strict=False)
            member(found)
        except (msgspec.ValidationError, UsageError) as error:
            mistakes.append(f"{where}: {error}")
            continue
        digests = []
        for spelling in found.badges:
            try:
                digest = badge.digest(badge.parse(spelling), key)
            except UsageError as error:
                mistakes.append(f"{where}: {error}")
                continue
            if digest in holders:
                mistakes.append(f"{where}: the badge {spelling} belongs to {holders[digest]} already")
            holders[digest] = found.id
            digests.append(digest)
        yield msgspec.structs.replace(found, badges=digests)


def _machine(raw: Any, fallback: wire.MachineRules, mistakes: list[str]) -> wire.MachineRules:
    if raw is None:
        return fallback
    try:
        merged = {**msgspec.to_builtins(fallback), **raw}
        unknown = set(merged) - {field.encode_name for field in msgspec.structs.fields(wire.MachineRules)}
        if unknown:
            raise UsageError(f"found {', '.join(sorted(unknown))}, which no machine has")  # noqa: TRY301 - one list
        rules = msgspec.convert(merged, wire.MachineRules, strict=False)
        machine_rules(rules)
    except (msgspec.ValidationError, TypeError, UsageError) as error:
        mistakes.append(f"machine: {error}")
        return fallback
    return rules


def _parse(path: Path, text: str) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """Return the members as (where, raw) and the rest of the file."""
    if path.suffix.lower() == ".csv":
        return list(_rows(path, text)), {}
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text)
    except (yaml.YAMLError, json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: {str(error).replace(chr(10), ' ')}") from error
    if isinstance(found, list):
        found = {"members": found}
    if not isinstance(found, dict) or not isinstance(found.get("members"), list):
        raise UsageError(f"{path}: wanted 'members:' with a list of members, found {type(found).__name__}")
    unknown = set(found) - {"members", "machine", "tz"}
    if unknown:
        raise UsageError(f"{path}: found {', '.join(sorted(map(str, unknown)))}, wanted members, machine or tz")
    return [(f"member {n}", raw) for n, raw in enumerate(found["members"], 1)], found


def _yaml(text: str) -> Any:
    # Everything stays text: in YAML 1.1 the badge 12:34:56:10 is a number to the base of 60.
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes nothing but strings, lists and mappings


def _rows(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    rows = csv.DictReader(io.StringIO(text))
    known = {field.encode_name for field in msgspec.structs.fields(wire.Member)}
    header = set(rows.fieldnames or ())
    if not {"id", "badges"} <= header or not header <= known:
        raise UsageError(
            f"{path}, line 1: found the columns {', '.join(rows.fieldnames or ())}; wanted id, badges (several separated"
            f" by ';') and any of {', '.join(sorted(known - {'id', 'badges'}))}"
        )
    for row in rows:
        raw: dict[str, Any] = {key: value for key, value in row.items() if value not in (None, "")}
        for key in _LISTS:
            if key in raw:
                raw[key] = [part.strip() for part in raw[key].split(";") if part.strip()]
        yield f"line {rows.line_num}", raw

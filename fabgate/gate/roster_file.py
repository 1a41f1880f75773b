"""How does a gate without a collector get its roster? From a file that a person keeps: YAML, JSON or CSV.

Members are listed with plain UIDs in any spelling (see fabgate.badge); the file is read with all its mistakes reported
at once, by line, and none of it is used if there is one. Whoever has ``reasons`` is known and refused.

.. code-block:: yaml

    machine: {limit_s: 7200}          # optional: overrides gate.yaml
    members:
      - {id: m-1, name: Ada, badges: [04:A1:B2:C3], windows: [1-5 08:00-22:00]}
      - {id: m-2, name: Mo, badges: ["04:A1:B2:C4"], reasons: [suspended]}

A CSV has the same words as columns. Several badges or windows in one cell are separated by ';', or by ',' where that
cannot be one badge (``123,45678`` is one of Wiegand); columns by ',' or, as spreadsheets do in half of Europe, by ';'.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import yaml

from fabgate import badge, wire
from fabgate.errors import UsageError
from fabgate.gate.config_file import near, read_text, wanted, yaml_problem
from fabgate.gate.people import machine_rules, member

MAX_BYTES: Final = 64 * 1024 * 1024
#: So many mistakes are told; the others are counted.
MOST_TOLD: Final = 100
#: libyaml reads 100,000 members in seconds and pure Python in minutes; PyYAML's wheels carry it.
_BASE: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_LISTS: Final = ("badges", "windows", "reasons")
_WIEGAND: Final = re.compile(r"(?:w26:)?\s*\d{1,3}\s*,\s*\d{1,5}", re.IGNORECASE)
_WINDOW: Final = re.compile(r"([1-7](?:\s*[-,]\s*[1-7])*)\s+(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")
#: What is shorter than this is no badge, and told as it is.
_MASKED_FROM: Final = 4
_ABSENT: Final = ("", "~", "null", None)
_KEYS: Final = {field.encode_name: field.type for field in msgspec.structs.fields(wire.Member)} | {"reasons": list[str]}
_MACHINE: Final = {field.encode_name: field.type for field in msgspec.structs.fields(wire.MachineRules)}

#: A person as the file has it: its line, or None where the format shows none, and its keys.
Person = tuple[int | None, Any]


def read(path: Path, *, key: bytes, topics: wire.GateTopics, fallback: wire.MachineRules) -> wire.Roster:
    """Read a roster file; badges become digests under `key`, the version is the file's time. Raises UsageError."""
    text = read_text(path, most=MAX_BYTES)
    mistakes = _Mistakes(path)
    people, rest = _PARSERS.get(path.suffix.lower(), _yaml)(path, text, mistakes)
    before = list(mistakes.found)
    members, refusals = _people(people, key, mistakes)
    if len(mistakes.found) > len(before) and path.suffix.lower() == ".json":
        # The lines of a JSON file cost more than the file: they are looked for only when somebody needs them.
        mistakes.found = before
        _people(list(zip(_json_lines(text, people), [raw for _, raw in people], strict=True)), key, mistakes)
    machine = _machine(rest.get("machine"), fallback, mistakes)
    tz = _zone(rest.get("tz", "UTC"), mistakes)
    if not people and not mistakes.found:
        mistakes.add(None, "found no member, wanted at least one; an empty roster would lock everybody out")
    if mistakes.found:
        raise UsageError(mistakes.text())
    return wire.Roster(
        version=_version(path),
        site=topics.site,
        gate=topics.gate,
        tz=tz,
        machine=machine,
        members=members,
        refusals=refusals,
    )


class _Mistakes:
    """What is wrong with one file, each on one line of text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []

    def add(self, line: int | None, text: str) -> None:
        where = "" if line is None else f":{line}"
        self.found.append(f"{self.path}{where}: {' '.join(text.split())}")

    def text(self) -> str:
        """Return them all, or as many as a person reads: a wrong column is wrong in a hundred thousand lines."""
        more = len(self.found) - MOST_TOLD
        told = self.found[:MOST_TOLD]
        return "\n".join([*told, f"{self.path}: and {more} mistakes more"] if more > 0 else told)


def _version(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


# --- people -----------------------------------------------------------------------------------------------------------


def _people(people: list[Person], key: bytes, mistakes: _Mistakes) -> tuple[list[wire.Member], list[wire.Refusal]]:
    members: list[wire.Member] = []
    refusals: list[wire.Refusal] = []
    ids: dict[str, str] = {}
    holders: dict[str, str] = {}
    for number, (line, raw) in enumerate(people, 1):
        before = len(mistakes.found)
        who = f"member {number}"

        def wrong(text: str, line: int | None = line, who: str = who) -> None:
            mistakes.add(line, f"{who}: {text}")

        found, reasons = _person(raw, wrong)
        place = f"{who}{f' in line {line}' if line else ''}"
        if found.id in ids:
            wrong(f"id: found {found.id!r} again, wanted it once; {ids[found.id]} has it")
        ids.setdefault(found.id, place)
        digests = list(_digests(found, key, holders, place, wrong))
        if len(mistakes.found) > before:
            continue
        if reasons:
            refusals.append(wire.Refusal(badges=digests, reasons=reasons, id=found.id, lang=found.lang))
        else:
            members.append(msgspec.structs.replace(found, badges=digests))
    return members, refusals


def _person(raw: Any, wrong: Callable[[str], None]) -> tuple[wire.Member, list[str]]:
    """Return a person as far as they can be read, and why they are refused; every mistake goes to `wrong`."""
    if not isinstance(raw, dict):
        found_text = "a word" if isinstance(raw, str) and raw else _shown(raw)  # which may be a badge
        wrong(f"found {found_text}, wanted id, badges and what else is known")
        return wire.Member(id="", badges=[]), []
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in _KEYS:
            wrong(f"{str(key)[:60]}: found an unknown key, wanted {near(str(key), _KEYS)}")
        elif value not in _ABSENT:
            try:
                listed = _listed(key, value) if key in _LISTS else value
                values[key] = msgspec.convert(listed, _KEYS[key], strict=False)
            except (msgspec.ValidationError, RecursionError):
                found_text = "something else" if key == "badges" else _shown(value)
                wrong(f"{key}: found {found_text}, wanted {_wanted(key)}")
    for key in ("id", "badges"):
        if raw.get(key) in _ABSENT:
            wrong(f"{key}: found nothing, wanted {_wanted(key)}")
    reasons = values.pop("reasons", [])
    found = wire.Member(**{"id": "", "badges": [], **values})
    try:
        member(found if found.id else msgspec.structs.replace(found, id="?"))
    except UsageError as error:
        wrong(str(error).partition(": ")[2])
    return found, reasons


def _listed(key: str, value: Any) -> Any:
    """Return the parts of a list that is written as text, and of each window that is."""
    if isinstance(value, str):
        value = [part for piece in value.split(";") for part in _parts(key, piece)]
    if key == "windows" and isinstance(value, list):
        return [_window(part) if isinstance(part, str) else part for part in value]
    return value


def _parts(key: str, piece: str) -> list[str]:
    if key == "badges" and _WIEGAND.fullmatch(piece.strip()):
        return [piece.strip()]
    separated = [piece] if key == "windows" else piece.split(",")
    return [part.strip() for part in separated if part.strip()]


def _window(text: str) -> Any:
    """Return the window ``1-5 08:00-22:00``; what is none comes back as it is and is refused by its type."""
    found = _WINDOW.fullmatch(text.strip())
    if not found:
        return text
    days: list[int] = []
    for part in found[1].split(","):
        first, _, last = part.partition("-")
        days.extend(range(int(first), int(last or first) + 1))
    return {"days": days, "from": found[2].zfill(5), "to": found[3].zfill(5)}


def _digests(
    found: wire.Member, key: bytes, holders: dict[str, str], place: str, wrong: Callable[[str], None]
) -> Iterator[str]:
    for spelling in found.badges:
        try:
            digest = badge.digest(badge.parse(spelling), key)
        except badge.RandomUidError:
            wrong("badges: found a random UID, wanted a card; a phone makes up a new number each time it is read")
            continue
        except UsageError as error:
            wrong(f"badges: {_masked(str(error), spelling)}")
            continue
        if digest in holders:
            wrong(f"badges: found {_masked(spelling, spelling)}, wanted another card; {holders[digest]} has that one")
        holders.setdefault(digest, place)
        yield digest


def _masked(text: str, spelling: str) -> str:
    """Return `text` without the badge: what is wrong with a roster is published, and a badge never is."""
    forms = {spelling.strip(), re.sub(r"[\s:.-]", "", spelling), spelling.partition(":")[2].strip()}
    long = sorted((form for form in forms if len(form) >= _MASKED_FROM), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, long)), lambda found: f"…{found[0][-2:]}", text) if long else text


# --- the rest of the file ---------------------------------------------------------------------------------------------


def _machine(raw: Any, fallback: wire.MachineRules, mistakes: _Mistakes) -> wire.MachineRules:
    if raw in _ABSENT:
        return fallback
    if not isinstance(raw, dict):
        mistakes.add(None, f"machine: found {_shown(raw)}, wanted keys and values such as limit_s: 7200")
        return fallback
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in _MACHINE:
            mistakes.add(None, f"machine.{str(key)[:60]}: found an unknown key, wanted {near(str(key), _MACHINE)}")
            continue
        try:
            values[key] = msgspec.convert(None if value in _ABSENT else value, _MACHINE[key], strict=False)
        except (msgspec.ValidationError, RecursionError):
            mistakes.add(None, f"machine.{key}: found {_shown(value)}, wanted {wanted(_MACHINE[key])}")
    if "limit_s" in values and "max_s" not in values:
        values["max_s"] = max(values["limit_s"], fallback.max_s)
    rules = msgspec.structs.replace(fallback, **values)
    try:
        machine_rules(rules)
    except UsageError as error:
        mistakes.found.extend(f"{mistakes.path}: {mistake}" for mistake in str(error).split("; "))
    return rules


def _zone(name: Any, mistakes: _Mistakes) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, TypeError, ValueError, OSError, AttributeError):
        mistakes.add(None, f"tz: found {_shown(name)}, wanted a time zone such as Europe/Paris")
        return "UTC"


def _yaml(path: Path, text: str, mistakes: _Mistakes) -> tuple[list[Person], dict[str, Any]]:
    # Everything stays text: in YAML 1.1 the badge 12:34:56:10 is a number to the base of 60.
    try:
        root = yaml.compose(text, Loader=_BASE)
        found = _Plain(mistakes).value(root)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}{yaml_problem(error)}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: found lists within lists without end, wanted members") from error
    people, rest = _members_of(path, found)
    return list(zip(_lines(root), people, strict=True)), rest


def _json(path: Path, text: str, mistakes: _Mistakes) -> tuple[list[Person], dict[str, Any]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
            mistakes.add(None, f"{twice[:60]}: found twice in {_shown(made)}, wanted once")
        return made

    try:
        found = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: {error.msg}; it is no JSON from column {error.colno} on") from error
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{path}: found lists without end or a number without end, wanted members") from error
    people, rest = _members_of(path, found)
    return [(None, raw) for raw in people], rest


def _json_lines(text: str, people: list[Person]) -> list[int | None]:
    """Return the members' lines. Nearly all JSON is YAML; where it is not, a member's number has to do."""
    try:
        lines: list[int | None] = list(_lines(yaml.compose(text, Loader=_BASE)))
    except (yaml.YAMLError, RecursionError):
        lines = []
    return lines if len(lines) == len(people) else [None] * len(people)


def _members_of(path: Path, found: Any) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(found, list):
        found = {"members": found}
    if not isinstance(found, dict) or not isinstance(found.get("members"), list):
        raise UsageError(f"{path}: found {_shown(found)}, wanted 'members:' with a list of members")
    for key in found:
        if key not in ("members", "machine", "tz"):
            raise UsageError(
                f"{path}: {str(key)[:60]}: found an unknown key, wanted {near(str(key), ('members', 'machine', 'tz'))}"
            )
    return found["members"], found


def _lines(root: Any) -> Iterator[int]:
    """Return the line of each member of a composed file."""
    if isinstance(root, yaml.MappingNode):
        root = [value for key, value in root.value if key.value == "members"][-1]
    return (node.start_mark.line + 1 for node in root.value)


class _Plain:
    """Strings, lists and mappings of a composed file; a key that is there twice is a mistake."""

    def __init__(self, mistakes: _Mistakes) -> None:
        self._mistakes = mistakes
        self._made: dict[Any, Any] = {}

    def value(self, node: Any) -> Any:
        if node is None or isinstance(node, yaml.ScalarNode):
            return None if node is None else node.value
        if node in self._made:  # an alias: made once, or nine lines of them would fill the memory
            return self._made[node]
        if isinstance(node, yaml.SequenceNode):
            items: list[Any] = []
            self._made[node] = items
            items.extend(self.value(item) for item in node.value)
            return items
        found: dict[Any, Any] = {}
        self._made[node] = found
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                self._mistakes.add(key_node.start_mark.line + 1, f"{key}: found again, wanted once")
            found[key] = self.value(value_node)
        return found


def _csv(path: Path, text: str, mistakes: _Mistakes) -> tuple[list[Person], dict[str, Any]]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    people: list[Person] = []
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        for name in columns:
            if columns.count(name) > 1:
                raise UsageError(f"{path}:1: found the column {name!r} twice, wanted it once")
            if name not in _KEYS:
                shown = (
                    _masked(name, name)[:60] if any(map(str.isdecimal, name)) else name
                )  # a first row may be a member
                raise UsageError(f"{path}:1: found the column {shown!r}, wanted {near(name, _KEYS)}")
        if not {"id", "badges"} <= set(columns):
            raise UsageError(
                f"{path}:1: found the columns {', '.join(columns) or 'of none'}, wanted at least id and badges"
            )
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue  # a spreadsheet leaves empty rows at the end
            if len(row) > len(columns):
                mistakes.add(
                    rows.line_num, f"found {len(row)} cells, wanted {len(columns)}; quote a cell with {delimiter!r}"
                )
                continue
            cells = dict(zip(columns, (cell.strip() for cell in row), strict=False))
            people.append((rows.line_num, {key: value for key, value in cells.items() if value}))
    except csv.Error as error:
        raise UsageError(f"{path}:{rows.line_num}: {error}; is a quote open?") from error
    return people, {}


_PARSERS: Final = {".csv": _csv, ".json": _json}


# --- words ------------------------------------------------------------------------------------------------------------


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    return "nothing" if value in _ABSENT else repr(value)[:60]


def _wanted(key: str) -> str:
    special = {
        "badges": "a list of badges, each as text",
        "windows": "windows such as '1-5 08:00-22:00' (days 1, Monday, to 7)",
        "reasons": "a list of reasons",
    }
    return special.get(key) or wanted(_KEYS[key])

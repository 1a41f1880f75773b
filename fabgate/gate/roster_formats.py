"""How are people listed in YAML, JSON and CSV? Each format tells the same: people with their lines, and the rest.

YAML costs fifty times its size in memory, and half a second per megabyte during which little else runs: it is for what
people write by hand. The other two are read at 2 MB a second, and the loop that owns the power waits for milliseconds.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config import Lang
from fabgate.gate.config_file import near, read_text, yaml_problem

#: Some 100,000 members.
MAX_BYTES: Final = 16 * 1024 * 1024
#: Some 10,000 members.
YAML_MAX_BYTES: Final = 1024 * 1024
#: So many mistakes are told; the others are counted.
MOST_TOLD: Final = 100
#: What is shorter than this is no badge, and told as it is.
_MASKED_FROM: Final = 4
ABSENT: Final = ("", "~", "null", None)
#: A collector may be newer and know a language more; what a person writes is more likely wrong.
KEYS: Final = {field.encode_name: field.type for field in msgspec.structs.fields(wire.Member)} | {
    "lang": Lang,
    "reasons": list[str],
}
#: libyaml reads many members in seconds and pure Python in minutes; PyYAML's wheels carry it.
_BASE: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

#: A person as the file has it: its line, or None where the format shows none, and its keys.
Person = tuple[int | None, Any]


def text_of(path: Path) -> str:
    """Read a roster file. Raises UsageError for one that cannot be read, or is too large for its format."""
    text = read_text(path, most=MAX_BYTES)
    if path.suffix.lower() not in _PARSERS and len(text) > YAML_MAX_BYTES:
        raise UsageError(
            f"{path}: found more than {YAML_MAX_BYTES} letters of YAML, wanted less; so many members can be read as"
            " JSON or CSV"
        )
    return text


def parse(path: Path, text: str, mistakes: Mistakes) -> tuple[list[Person], dict[str, Any]]:
    """Return the people of a file, and what stands beside them. Raises UsageError for one that is of no such format."""
    return _PARSERS.get(path.suffix.lower(), _yaml)(path, text, mistakes)


def with_lines(text: str, people: list[Person]) -> list[Person]:
    """Return the people of a JSON file with their lines, which cost more than the file: only who needs them asks."""
    lines = _json_lines(text, people) if len(text) <= YAML_MAX_BYTES else [None] * len(people)
    return list(zip(lines, [raw for _, raw in people], strict=True))


class Mistakes:
    """What is wrong with one file, each on one line of text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []

    def add(self, line: int | None, text: str) -> None:
        """Note one, at a line where it has one."""
        where = "" if line is None else f":{line}"
        self.found.append(f"{self.path}{where}: {' '.join(text.split())}")

    def text(self) -> str:
        """Return them all, or as many as a person reads: a wrong column is wrong in a hundred thousand lines."""
        more = len(self.found) - MOST_TOLD
        told = self.found[:MOST_TOLD]
        rest = f"{self.path}: and {more} more {'mistake' if more == 1 else 'mistakes'}"
        return "\n".join([*told, rest] if more > 0 else told)


def _yaml(path: Path, text: str, mistakes: Mistakes) -> tuple[list[Person], dict[str, Any]]:
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


def _json(path: Path, text: str, mistakes: Mistakes) -> tuple[list[Person], dict[str, Any]]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
            mistakes.add(None, f"{twice[:60]}: found twice in {shown(made)}, wanted once")
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
        raise UsageError(f"{path}: found {shown(found)}, wanted 'members:' with a list of members")
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

    def __init__(self, mistakes: Mistakes) -> None:
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


def _csv(path: Path, text: str, mistakes: Mistakes) -> tuple[list[Person], dict[str, Any]]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    people: list[Person] = []
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        for name in columns:
            if columns.count(name) > 1:
                raise UsageError(f"{path}:1: found the column {name!r} twice, wanted it once")
            if name not in KEYS:
                shown = (
                    masked(name, name)[:60] if any(map(str.isdecimal, name)) else name
                )  # a first row may be a member
                raise UsageError(f"{path}:1: found the column {shown!r}, wanted {near(name, KEYS)}")
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


def shown(value: Any) -> str:
    """Return what was found, short enough for a message."""
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    return "nothing" if value in ABSENT else repr(value)[:60]


def masked(text: str, spelling: str) -> str:
    """Return `text` without the badge: what is wrong with a roster is published, and a badge never is."""
    forms = {spelling.strip(), re.sub(r"[\s:.-]", "", spelling), spelling.partition(":")[2].strip()}
    long = sorted((form for form in forms if len(form) >= _MASKED_FROM), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, long)), lambda found: f"…{found[0][-2:]}", text) if long else text

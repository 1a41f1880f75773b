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
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Lang
from fabgate.gate.config.yaml_file import near, read_text, yaml_problem
from fabgate.gate.config.yaml_tree import inspect, line_of

#: Some 100,000 members.
MAX_BYTES: Final = 16 * 1024 * 1024
#: Some 10,000 members.
YAML_MAX_BYTES: Final = 1024 * 1024
#: So many values may be in a YAML file with all aliases written out: two letters each, of a file as large as it may be.
MOST_VALUES: Final = YAML_MAX_BYTES // 2
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
#: What that loader takes every value for.
_TEXT: Final = "tag:yaml.org,2002:str"
#: A key is told by its start.
_LONGEST_KEY: Final = 60

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


class Parsed(NamedTuple):
    """What a file says: its people, and what it says beside them by key.

    `has_lines` is False where the format shows no lines: ``with_lines`` finds them.
    """

    people: list[Person]
    rest: dict[str, Any]
    has_lines: bool = True


def parse(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    """Return what a file says. Raises UsageError for one that is not of its format at all."""
    return _PARSERS.get(path.suffix.lower(), _yaml)(path, text, mistakes)


def with_lines(path: Path, text: str, found: Parsed, mistakes: Mistakes) -> Parsed:
    """Return what a JSON file says with its lines, which cost more than the file: only who needs them asks.

    Nearly all JSON is YAML. Where it is not, `found` comes back, and a member's number has to do. What `mistakes` had
    of keys that are there twice gets lines, too.
    """
    if len(text) > YAML_MAX_BYTES:
        return found
    twice = Mistakes(path)
    try:
        root = yaml.compose(text, Loader=_BASE)
        _Plain(twice).value(root)
        people = list(_lines(root))
    except (yaml.YAMLError, RecursionError):
        return found
    if len(people) != len(found.people):
        return found
    mistakes.found, mistakes.lines = twice.found or mistakes.found, _lines_beside(root)
    raws = [raw for _, raw in found.people]
    return Parsed(list(zip(people, raws, strict=True)), found.rest)


class Mistakes:
    """What is wrong with one file, each on one line of text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []
        #: The lines of what is beside the members, by dotted key, as far as the format shows them.
        self.lines: dict[str, int] = {}

    def add(self, line: int | None, text: str) -> None:
        """Note one, at a line where it has one."""
        where = "" if line is None else f":{line}"
        self.found.append(f"{self.path}{where}: {' '.join(text.split())}")

    def at(self, key: str, text: str) -> None:
        """Note one at the line of a dotted key, or of the section that it is missing from."""
        known = key[:_LONGEST_KEY]
        line = self.lines.get(known) or self.lines.get(known.partition(".")[0])
        self.add(line, f"{known}: {text}")

    def text(self) -> str:
        """Return them all, or as many as a person reads: a wrong column is wrong in a hundred thousand lines."""
        more = len(self.found) - MOST_TOLD
        told = self.found[:MOST_TOLD]
        rest = f"{self.path}: and {more} more {'mistake' if more == 1 else 'mistakes'}"
        return "\n".join([*told, rest] if more > 0 else told)


def _yaml(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    # Everything stays text: in YAML 1.1 the badge 12:34:56:10 is a number to the base of 60.
    try:
        root = yaml.compose(text, Loader=_BASE)
        inspect(
            root,
            str(path),
            most=MOST_VALUES,
            implicit=lambda _: _TEXT,
            wrong=lambda node, _, problem: mistakes.add(line_of(node), problem),
        )
        found = _Plain(mistakes).value(root)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}{yaml_problem(error)}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: found lists within lists without end, wanted members") from error
    mistakes.lines = _lines_beside(root)
    people, rest = _members_of(path, found, mistakes)
    return Parsed(list(zip(_lines(root), people, strict=True)), rest)


def _json(path: Path, text: str, mistakes: Mistakes) -> Parsed:
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
    people, rest = _members_of(path, found, mistakes)
    return Parsed([(None, raw) for raw in people], rest, has_lines=False)


def _members_of(path: Path, found: Any, mistakes: Mistakes) -> tuple[list[Any], dict[str, Any]]:
    """Return the members, and what is beside them. Raises UsageError for what is neither a list nor has keys."""
    if isinstance(found, list):
        return found, {}
    if not isinstance(found, dict):
        raise UsageError(f"{path}: found {shown(found)}, wanted 'members:' with a list of members")
    rest = {key: value for key, value in found.items() if key != "members"}
    people = found.get("members")
    if "members" in found and not isinstance(people, list):
        mistakes.at("members", f"found {shown(people)}, wanted a list of members")
    elif people is None:
        mistakes.add(None, f"found {shown(found)}, wanted 'members:' with a list of members")
    return (people if isinstance(people, list) else []), rest


def _lines(root: Any) -> Iterator[int]:
    """Return the line of each member of a composed file."""
    if isinstance(root, yaml.MappingNode):
        root = next((value for key, value in reversed(root.value) if key.value == "members"), None)
    if isinstance(root, yaml.SequenceNode):
        yield from map(line_of, root.value)


def _lines_beside(root: Any) -> dict[str, int]:
    """Return the lines of what is beside the members, and of the members' key, by dotted key."""
    found: dict[str, int] = {}
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        name = str(key.value)[:_LONGEST_KEY]
        found[name] = line_of(key)
        if name == "machine" and isinstance(value, yaml.MappingNode):
            found.update((f"{name}.{str(inner.value)[:_LONGEST_KEY]}", line_of(inner)) for inner, _ in value.value)
    return found


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
            if not isinstance(key_node, yaml.ScalarNode):
                self._mistakes.add(line_of(key_node), f"found {shown(self.value(key_node))} as a key, wanted a word")
                continue
            key = str(key_node.value)
            if key in found:
                self._mistakes.add(line_of(key_node), f"{key[:_LONGEST_KEY]}: found again, wanted once")
            found[key] = self.value(value_node)
        return found


def _csv(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    people: list[Person] = []
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        _check_columns(path, columns)
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
    return Parsed(people, {})


def _check_columns(path: Path, columns: list[str]) -> None:
    """Raise UsageError with each column that is wrong: nothing can be read below a wrong head."""
    head = Mistakes(path)
    is_head = not columns or not KEYS.keys().isdisjoint(columns)
    for number, name in enumerate(columns if is_head else columns[:1]):
        if name in columns[:number]:
            head.add(1, f"found the column {_column(name)!r} twice, wanted it once")
        elif name not in KEYS:
            head.add(1, f"found the column {_column(name)!r}, wanted {near(name, KEYS)}")
    if is_head and not {"id", "badges"} <= set(columns):
        told = ", ".join(map(_column, columns)) or "of none"
        head.add(1, f"found the columns {told}, wanted at least id and badges")
    if head.found:
        raise UsageError(head.text())


def _column(name: str) -> str:
    """Return a column's name as a message has it: the first row may be a member, with a badge."""
    return masked(name, name)[:60] if any(map(str.isdecimal, name)) else name[:60]


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

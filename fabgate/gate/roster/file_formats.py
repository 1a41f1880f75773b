"""Parses roster files in YAML, JSON and CSV: people with their lines, and the other keys.

YAML takes fifty times its size in memory, and half a second per megabyte during which little else runs: it is for files
that are written by hand. The other two are read at 2 MB/s, and delay the loop that owns the power by milliseconds.
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
from fabgate.yaml_reading.yaml_file import near, read_text, yaml_problem
from fabgate.yaml_reading.yaml_tree import inspect, line_of

#: About 100,000 members.
MAX_BYTES: Final = 16 * 1024 * 1024
#: About 10,000 members.
YAML_MAX_BYTES: Final = 1024 * 1024
#: The most values in a YAML file with all aliases expanded: two characters each in the largest file.
MOST_VALUES: Final = YAML_MAX_BYTES // 2
#: How many mistakes are listed; the others are counted.
MOST_LISTED: Final = 100
#: Shorter texts cannot be a badge, and are not masked.
_MASKED_FROM: Final = 4
ABSENT: Final = ("", "~", "null", None)
#: What only a collector knows.
_OF_THE_COLLECTOR: Final = frozenset({"until_reason", "price_list", "low_credit"})
#: The language is checked here only: a newer collector may know one more, but in a file it is probably a mistake.
KEYS: Final = {
    **{one.encode_name: one.type for one in msgspec.structs.fields(wire.Member) if one.name not in _OF_THE_COLLECTOR},
    "lang": Lang,
    "reasons": list[str],
}
#: libyaml reads many members in seconds, pure Python in minutes; PyYAML's wheels contain it.
_BASE: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
#: The tag that this loader gives every value.
_TEXT: Final = "tag:yaml.org,2002:str"
#: A longer key is cut in messages.
_LONGEST_KEY: Final = 60

#: A person in the file: the line, or None where the parser does not give it, and the keys.
WrittenPerson = tuple[int | None, Any]


def text_of(path: Path) -> str:
    """Read the text of a roster file. Raises UsageError for one that cannot be read, or is too large for its format."""
    text = read_text(path, most=MAX_BYTES)
    if path.suffix.lower() not in _PARSERS and len(text) > YAML_MAX_BYTES:
        raise UsageError(
            f"{path}: found more than {YAML_MAX_BYTES} characters of YAML, wanted fewer; use JSON or CSV for this many"
            " members"
        )
    return text


class Parsed(NamedTuple):
    """The content of a file: its people, and its other keys.

    `has_lines` is False where the parser does not give lines: ``with_lines`` finds them.
    """

    people: list[WrittenPerson]
    rest: dict[str, Any]
    has_lines: bool = True


def parse(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    """Return the content of a file. Raises UsageError where it is not of the format that its name says."""
    return _PARSERS.get(path.suffix.lower(), _yaml)(path, text, mistakes)


def with_lines(path: Path, text: str, found: Parsed, mistakes: Mistakes) -> Parsed:
    """Return the content of a JSON file with its lines, which are found only when there is a mistake to report.

    The file is read as YAML, which nearly all JSON is. Where it is not, `found` is returned unchanged, and messages
    name a member by its number. `mistakes` about duplicate keys get their lines, too.
    """
    if len(text) > YAML_MAX_BYTES:
        return found
    duplicates = Mistakes(path)
    try:
        root = yaml.compose(text, Loader=_BASE)
        _PlainValues(duplicates).value(root)
        people = list(_lines(root))
    except (yaml.YAMLError, RecursionError):
        return found
    if len(people) != len(found.people):
        return found
    mistakes.found, mistakes.lines = duplicates.found or mistakes.found, _key_lines(root)
    raws = [raw for _, raw in found.people]
    return Parsed(list(zip(people, raws, strict=True)), found.rest)


class Mistakes:
    """The mistakes of one file, each on one line of text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[str] = []
        #: The lines of the other keys, by dotted key, where the parser gives them.
        self.lines: dict[str, int] = {}

    def add(self, line: int | None, text: str) -> None:
        """Add a mistake at a line, where that is known."""
        where = "" if line is None else f":{line}"
        self.found.append(f"{self.path}{where}: {' '.join(text.split())}")

    def at(self, key: str, text: str) -> None:
        """Add a mistake at the line of a dotted key, or of its section if the file lacks the key."""
        short_key = key[:_LONGEST_KEY]
        line = self.lines.get(short_key) or self.lines.get(short_key.partition(".")[0])
        self.add(line, f"{short_key}: {text}")

    def text(self) -> str:
        """Return all mistakes, or the first ones: a wrong column can be wrong in a hundred thousand lines."""
        more = len(self.found) - MOST_LISTED
        listed = self.found[:MOST_LISTED]
        rest = f"{self.path}: and {more} more {'mistake' if more == 1 else 'mistakes'}"
        return "\n".join([*listed, rest] if more > 0 else listed)


def _yaml(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    # Every value stays text: in YAML 1.1 the badge 12:34:56:10 is a number in base 60.
    try:
        root = yaml.compose(text, Loader=_BASE)
        inspect(
            root,
            str(path),
            most=MOST_VALUES,
            implicit=lambda _: _TEXT,
            wrong=lambda node, _, problem: mistakes.add(line_of(node), problem),
        )
        found = _PlainValues(mistakes).value(root)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}{yaml_problem(error)}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: lists are nested too deeply; wanted a list of members") from error
    mistakes.lines = _key_lines(root)
    people, rest = _members_of(path, found, mistakes)
    return Parsed(list(zip(_lines(root), people, strict=True)), rest)


def _json(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            duplicate = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
            mistakes.add(None, f"{duplicate[:60]}: found twice in {shown(values)}, wanted once")
        return values

    try:
        found = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}:{error.lineno}: {error.msg}; the JSON is invalid from column {error.colno}"
        ) from error
    except (RecursionError, ValueError) as error:
        raise UsageError(
            f"{path}: lists are nested too deeply, or a number is too long; wanted a list of members"
        ) from error
    people, rest = _members_of(path, found, mistakes)
    return Parsed([(None, raw) for raw in people], rest, has_lines=False)


def _members_of(path: Path, found: Any, mistakes: Mistakes) -> tuple[list[Any], dict[str, Any]]:
    """Return the members, and the other keys. Raises UsageError for a value that is neither a list nor has keys."""
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
    """Yield the line of each member in a composed file."""
    if isinstance(root, yaml.MappingNode):
        root = next((value for key, value in reversed(root.value) if key.value == "members"), None)
    if isinstance(root, yaml.SequenceNode):
        yield from map(line_of, root.value)


def _key_lines(root: Any) -> dict[str, int]:
    """Return the lines of all keys outside the members, by dotted key."""
    lines: dict[str, int] = {}
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        name = str(key.value)[:_LONGEST_KEY]
        lines[name] = line_of(key)
        if name == "machine" and isinstance(value, yaml.MappingNode):
            lines.update((f"{name}.{str(inner.value)[:_LONGEST_KEY]}", line_of(inner)) for inner, _ in value.value)
    return lines


class _PlainValues:
    """Makes strings, lists and dicts of a composed file; a duplicate key is a mistake."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._made: dict[Any, Any] = {}

    def value(self, node: Any) -> Any:
        if node is None or isinstance(node, yaml.ScalarNode):
            return None if node is None else node.value
        if node in self._made:  # an alias: made once, otherwise a few lines of aliases would fill the memory
            return self._made[node]
        if isinstance(node, yaml.SequenceNode):
            items: list[Any] = []
            self._made[node] = items
            items.extend(self.value(item) for item in node.value)
            return items
        values: dict[Any, Any] = {}
        self._made[node] = values
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._mistakes.add(line_of(key_node), f"found {shown(self.value(key_node))} as a key, wanted a word")
                continue
            key = str(key_node.value)
            if key in values:
                self._mistakes.add(line_of(key_node), f"{key[:_LONGEST_KEY]}: found again, wanted once")
            values[key] = self.value(value_node)
        return values


def _csv(path: Path, text: str, mistakes: Mistakes) -> Parsed:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    people: list[WrittenPerson] = []
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
        raise UsageError(f"{path}:{rows.line_num}: {error}; is a closing quotation mark missing?") from error
    return Parsed(people, {})


def _check_columns(path: Path, columns: list[str]) -> None:
    """Raise UsageError naming each wrong column: below a wrong header no row can be read."""
    head = Mistakes(path)
    is_head = not columns or not KEYS.keys().isdisjoint(columns)
    for number, name in enumerate(columns if is_head else columns[:1]):
        if name in columns[:number]:
            head.add(1, f"found the column {_column(name)!r} twice, wanted it once")
        elif name not in KEYS:
            head.add(1, f"found the column {_column(name)!r}, wanted {near(name, KEYS)}")
    if is_head and not {"id", "badges"} <= set(columns):
        head.add(1, f"found the columns {', '.join(map(_column, columns)) or '(none)'}, wanted at least id and badges")
    if head.found:
        raise UsageError(head.text())


def _column(name: str) -> str:
    """Return a column's name for a message, masked: the first row may be a member, with a badge."""
    return masked(name, name)[:60] if any(map(str.isdecimal, name)) else name[:60]


_PARSERS: Final = {".csv": _csv, ".json": _json}


# --- texts of mistakes ------------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    return "nothing" if value in ABSENT else repr(value)[:60]


def masked(text: str, spelling: str) -> str:
    """Return `text` without the badge: mistakes are published, and a badge never is."""
    forms = {spelling.strip(), re.sub(r"[\s:.-]", "", spelling), spelling.partition(":")[2].strip()}
    long = sorted((form for form in forms if len(form) >= _MASKED_FROM), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, long)), lambda match: f"…{match[0][-2:]}", text) if long else text

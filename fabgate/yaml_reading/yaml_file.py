"""Turns a YAML file into typed sections, and reports all its mistakes at once, by line.

msgspec reports one mistake at a time, so each value is converted alone; yaml.compose
keeps the line of every key and shows duplicate keys.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec import Struct

from fabgate.errors import UsageError
from fabgate.yaml_reading.yaml_tree import inspect

#: The annotated example of a gate has 9 KiB: a larger file than this is not a configuration.
MAX_BYTES: Final = 256 * 1024
#: The most values of a file with all aliases expanded.
MOST_VALUES: Final = 128 * 1024
_PLAIN_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*)|0x[0-9a-fA-F]+")
_INT: Final = "tag:yaml.org,2002:int"
_NULL: Final = "tag:yaml.org,2002:null"
_PLAIN_WORDS: Final = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


class Reading:
    """One pass over the file, which collects mistakes instead of stopping at the first.

    `values` has every valid value by its dotted key, defaults included, so that values can be checked together although
    others are wrong. `special` has functions that read sections of certain types: they get the reading, the section's
    keys as nodes, and the section's dotted key. Where a list of them is wanted, one may be written without the list.
    """

    def __init__(
        self, path: Path, special: dict[type, Callable[[Reading, dict[str, Any], str], Any]], example: str
    ) -> None:
        """Read `path`; `example` is a key and its value, for the error about a file without any."""
        self._path = path
        self._example = example
        self._special = special
        self._nodes: dict[str, Any] = {}
        self._mistakes: list[tuple[int, str]] = []
        self.values: dict[str, Any] = {}

    def root(self) -> Any:
        """Return the file's keys as nodes. Raises UsageError when it has none."""
        text = read_text(self._path, most=MAX_BYTES)
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise UsageError(f"{self._path}{yaml_problem(error)}") from error
        except RecursionError as error:
            raise UsageError(f"{self._path}: lists are nested too deeply; wanted keys and values") from error
        if not isinstance(root, yaml.MappingNode):
            raise UsageError(f"{self._path}:1: found {shown(root)}, wanted keys and values such as {self._example!r}")
        resolver: Any = yaml.SafeLoader("")

        def implicit(node: Any) -> str:
            plain = not node.style
            return str(resolver.resolve(yaml.ScalarNode, node.value, (plain, not plain)))

        def wrong(node: Any, key: str, text: str) -> None:
            self.wrong(key or "?", text, node=node)

        inspect(root, str(self._path), most=MOST_VALUES, implicit=implicit, wrong=wrong)
        resolver.dispose()
        return root

    @property
    def mistakes(self) -> list[str]:
        """Return every mistake, in the order of the file."""
        return [text for _, text in sorted(self._mistakes, key=lambda mistake: mistake[0])]

    def wrong(self, key: str, text: str, *, node: Any = None) -> None:
        """Add a mistake at the line of `node`; without one, of `key`; if the file lacks the key, of its section."""
        place = key
        while node is None and place:
            node = self._nodes.get(place)
            place = place.rpartition(".")[0]
        line = 1 if node is None else node.start_mark.line + 1
        self._mistakes.append((line, f"{self._path}:{line}: {key[:100]}: {' '.join(text.split())}"))

    def has(self, key: str) -> bool:
        """Return whether a dotted key is in the file; defaults are not."""
        return key in self._nodes

    def struct(self, node: Any, kind: Any, where: str) -> Any:
        """Return the section, or None when something in it is wrong."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(where, f"found {shown(node)}, wanted keys and values", node=node)
            return None
        nodes = self._keys(node, where)
        special = self._special.get(kind)
        return self.fields(nodes, kind, where) if special is None else special(self, nodes, where)

    def fields(self, nodes: dict[str, Any], kind: Any, where: str) -> Any:
        """Return `kind` with the values of `nodes`, or None when something in it is wrong."""
        before = len(self._mistakes)
        hints = get_type_hints(kind, include_extras=True)
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for key in nodes.keys() - known.keys():
            self.wrong(join(where, key), f"found an unknown key, wanted {near(key, known)}")
        values = {}
        for name, field in known.items():
            key = join(where, name)
            if name in nodes:
                values[field.name] = self._value(nodes[name], hints[field.name], key)
            elif field.required:
                self.wrong(key, f"found nothing, wanted {wanted(hints[field.name])}; it is required")
            else:
                self._remember(key, field.default)
        if len(self._mistakes) > before:
            return None
        try:
            return kind(**values)
        except ValueError as error:
            self.wrong(where, str(error))
            return None

    def _keys(self, node: Any, where: str) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.wrong(where or "?", f"found {shown(key_node)} as a key, wanted a word", node=key_node)
                continue
            name = str(key_node.value)
            key = join(where, name)
            if name in nodes:
                first = self._nodes[key].start_mark.line + 1
                self.wrong(key, f"found again, wanted once; it is in line {first} already", node=key_node)
                continue
            self._nodes[key] = key_node
            nodes[name] = value_node
        return nodes

    def _value(self, node: Any, kind: Any, where: str) -> Any:
        inner, optional = _without_none(kind)
        inner, sizes = _without_sizes(inner)
        empty = isinstance(node, yaml.ScalarNode) and node.tag == _NULL
        if empty and optional:
            self.values[where] = None
            return None
        if empty and _may_be_empty(inner) and not sizes:  # a section whose lines are all comments
            return [] if get_origin(inner) is list else self.fields({}, inner, where)
        if isinstance(inner, type) and issubclass(inner, Struct):
            return self.struct(node, inner, where)
        element, is_list = (
            get_args(inner)[0] if get_origin(inner) is list else None,
            isinstance(node, yaml.SequenceNode),
        )
        if element in self._special and (sizes or isinstance(node, yaml.MappingNode)) and not is_list:
            return [self.struct(node, element, where)]  # one section instead of a list
        if element is not None and is_list:
            if sizes and len(node.value) not in sizes:
                found = f"{len(node.value)} of them" if node.value else "none"
                self.wrong(where, f"found {found}, wanted {sizes.start} to {sizes.stop - 1}", node=node)
            for n, item in enumerate(node.value):
                self._nodes[f"{where}[{n}]"] = item
            return [self._value(item, element, f"{where}[{n}]") for n, item in enumerate(node.value)]
        return self._leaf(node, inner, where)

    def _leaf(self, node: Any, kind: Any, where: str) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.tag == _INT and not _PLAIN_INT.fullmatch(node.value):
            hint = "write it without leading zeros and colons, which YAML reads in another base"
            self.wrong(where, f"found {shown(node)}, wanted {wanted(kind)}; {hint}", node=node)
            return None
        loader = yaml.SafeLoader("")
        raw: Any = None
        try:
            raw = loader.construct_object(node, deep=True)
            value = msgspec.convert(raw, kind, dec_hook=self._as_path)
        except (msgspec.ValidationError, yaml.YAMLError, ValueError, OverflowError, RecursionError):
            self.wrong(where, f"found {shown(node)}, wanted {wanted(kind)}{_hint(node, raw, kind, where)}", node=node)
            return None
        finally:
            loader.dispose()
        self.values[where] = value
        return value

    def _as_path(self, kind: type, value: object) -> object:
        # '~' is another folder for each account, and the file is seldom checked by the account that uses it.
        if kind is Path and isinstance(value, str) and value and "\0" not in value and not value.startswith("~"):
            return self._path.parent / value  # relative to the configuration, not to the current folder
        raise ValueError(value)

    def _remember(self, key: str, default: Any) -> None:
        if isinstance(default, Struct):
            for name in default.__struct_fields__:
                self._remember(join(key, name), getattr(default, name))
        else:
            self.values[key] = None if default is msgspec.NODEFAULT else default


def read_text(path: Path, *, most: int) -> str:
    """Read a UTF-8 file of at most `most` bytes; a byte order mark is dropped. Raises UsageError."""
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(raw) > most:
        raise UsageError(f"{path}: found more than {most} bytes, wanted less; is it the right file?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}:{line}: found bytes that are not UTF-8, wanted UTF-8; save the file with that encoding"
            " (in a spreadsheet: 'CSV UTF-8')"
        ) from error


def yaml_problem(error: yaml.YAMLError) -> str:
    """Return the error of the YAML parser as ``:line: problem``, on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    line = "" if mark is None else f":{mark.line + 1}"
    hint = "; indent with spaces, not with tabs" if "\\t" in problem else ""
    return f"{line}: {' '.join(problem.split())}{hint}"


def near(word: str, known: Any) -> str:
    """Return what was wanted instead of `word`: a similar known word, or all of them."""
    close = difflib.get_close_matches(word, known, 1)
    if close:
        return f"a known one; did you mean {close[0]}?"
    return f"one of {', '.join(known)}" if known else "none"


def wanted(kind: Any) -> str:
    """Return in words which values a type allows."""
    kind, _ = _without_none(kind)
    if get_origin(kind) is Annotated:
        plain, meta = get_args(kind)[:2]
        return str(meta.description) if meta.description else f"{wanted(plain)}{_range(meta)}"
    if get_origin(kind) is Literal:
        *others, last = (str(word) for word in get_args(kind))
        return f"{', '.join(others)} or {last}" if others else last
    if get_origin(kind) is list:
        return "a list"
    if isinstance(kind, type) and issubclass(kind, Struct):
        return "keys and values"
    return _PLAIN_WORDS.get(kind, "another value")


def shown(node: Any) -> str:
    """Return a node's value for a message, shortened."""
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value[:60]) if node.value or node.style else "nothing"
    return {yaml.SequenceNode: "a list", yaml.MappingNode: "keys and values"}.get(type(node), "nothing")


def join(where: str, key: str) -> str:
    """Return the dotted key of `key` in the section `where`."""
    return f"{where}.{key}" if where else key


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    plain = [arg for arg in get_args(kind) if arg is not NoneType]
    return (plain[0] if len(plain) == 1 else kind), len(plain) < len(get_args(kind))


def _without_sizes(kind: Any) -> tuple[Any, range | None]:
    """Return a type without the lengths that a list of it may have, and these lengths; None for any."""
    if get_origin(kind) is Annotated and get_origin(get_args(kind)[0]) is list:
        inner, meta = get_args(kind)[:2]
        return inner, range(meta.min_length, meta.max_length + 1)
    return kind, None


def _may_be_empty(kind: Any) -> bool:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return not any(field.required for field in msgspec.structs.fields(kind))
    return get_origin(kind) is list


def _range(meta: msgspec.Meta) -> str:
    if meta.ge is not None and meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    if meta.ge is not None:
        return f", {meta.ge} or more"
    return f" above {meta.gt}" if meta.gt is not None else ""


def _hint(node: Any, raw: object, kind: Any, where: str) -> str:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) is Literal and isinstance(node, yaml.ScalarNode):
        close = difflib.get_close_matches(node.value, [str(word) for word in get_args(plain)], 1)
        return f"; did you mean {close[0]}?" if close else ""
    if plain is Path and isinstance(raw, str) and raw.startswith("~"):
        return "; '~' is another folder for each account, and fabgate runs in its own: write the path in full"
    if plain in (str, Path) and isinstance(node, yaml.ScalarNode) and raw is not None and not isinstance(raw, str):
        return f'; YAML does not read it as text: write "{node.value}" in quotes'
    if plain in (int, float) and isinstance(raw, str) and where.endswith("_s"):
        return "; write the number of seconds, without a unit"
    return ""

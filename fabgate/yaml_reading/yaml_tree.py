"""Checks the nodes of a YAML file before they become values: explicit tags, multiplying aliases, recursive values.

A file of a few kilobytes can describe billions of values by aliases of aliases, and an explicit tag makes PyYAML convert
a value in a way that may raise any error. So both are found in the tree of nodes, which is as small as the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml

from fabgate.errors import UsageError

_YAML: Final = "tag:yaml.org,2002:"
_LISTS: Final = {yaml.SequenceNode: f"{_YAML}seq", yaml.MappingNode: f"{_YAML}map"}


def inspect(
    root: Any, where: str, *, most: int, implicit: Callable[[Any], str], wrong: Callable[[Any, str, str], None]
) -> None:
    """Check every node of a file; a mistake goes to `wrong` with its node and dotted key.

    `implicit` returns the tag that a scalar has without an explicit tag. A node with any other tag gets this one, so
    that explicit tags are ignored. Raises UsageError, which begins with `where`, for a file of more than `most` values
    with all aliases expanded, and for one in which a value contains itself.
    """
    sizes: dict[Any, int] = {}
    open_: set[Any] = set()
    path: list[tuple[Any, str, bool]] = [] if root is None else [(root, "", False)]
    while path:
        node, key, is_done = path.pop()
        if is_done:
            open_.discard(node)
            sizes[node] = 1 + sum(sizes[child] for child, _ in _children(node, key))
            if sizes[node] > most:
                raise UsageError(
                    f"{where}: found more than {most} values with all aliases expanded, wanted fewer; write the values"
                    " themselves"
                )
        elif node in open_:
            raise UsageError(
                f"{where}:{line_of(node)}: found a value that contains itself (an alias to what it is part of), wanted one"
                " that ends; write the value itself"
            )
        elif node not in sizes:
            _check_tag(node, key, implicit, wrong)
            open_.add(node)
            path.append((node, key, True))
            path.extend((child, name, False) for child, name in reversed(list(_children(node, key))))


def line_of(node: Any) -> int:
    """Return the line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def _children(node: Any, key: str) -> Iterator[tuple[Any, str]]:
    if isinstance(node, yaml.SequenceNode):
        yield from ((child, key) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        for name, child in node.value:
            yield name, key
            yield child, _join(key, name.value) if isinstance(name, yaml.ScalarNode) else key


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _check_tag(node: Any, key: str, implicit: Callable[[Any], str], wrong: Callable[[Any, str, str], None]) -> None:
    wanted = _LISTS.get(type(node)) or implicit(node)
    if node.tag != wanted:
        tag = f"!!{node.tag.removeprefix(_YAML)}" if node.tag.startswith(_YAML) else f"!{node.tag.lstrip('!')}"
        wrong(node, key, f"found the tag {tag[:60]}, wanted a value without one; leave it out")
        node.tag = wanted

"""Which mistakes can a page show, and are their words translated? Followed from the pages through what they call.

A function that a page names is followed, and so is what that names, in any module of the collector: it is more than what
is called, and never less, but for what is handed over as a value of an object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from tests.collector.faces.pages.strings import CALLS, ROOT, WITH_CONTEXT

#: What the door, or a view, shows as it is said.
SHOWN: Final = {"UsageError", "LastManager", "Conflict", "Mistake"}
#: Lists of what is said in the end.
LISTS: Final = {"mistakes", "problems"}
PACKAGE: Final = "fabgate.collector"
#: What is wrong with the environment or with sinks.yaml is told to who runs the collector, in the words of its log, by
#: names of variables and keys.
OPERATORS: Final = {"money/billing/sinks/config", "recording/broker/client"}


class Place(NamedTuple):
    """A function or class, by its module's path below fabgate/collector and its name."""

    module: str
    name: str


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / f"{module}.py").read_text(encoding="utf-8"))


@cache
def definitions(module: str) -> dict[str, ast.AST]:
    """Return what a module defines, constants too: a table of functions is followed."""
    found: dict[str, ast.AST] = {}
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found


@cache
def imported(module: str) -> dict[str, Place]:
    """Return what each imported name of the collector stands for; a module has no name of its own."""
    found = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            below = str(node.module)[len(PACKAGE) + 1 :].replace(".", "/")
            for name in node.names:
                path = f"{below}/{name.name}" if below else name.name
                if (ROOT / f"{path}.py").is_file():
                    found[name.asname or name.name] = Place(path, "")
                elif (ROOT / f"{below}.py").is_file():
                    found[name.asname or name.name] = Place(below, name.name)
    return found


def named(module: str, node: ast.AST) -> Iterator[Place]:
    """Yield what a piece of a module names."""
    known, own = imported(module), definitions(module)
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in known:
            place = known[part.value.id]
            yield Place(place.module, place.name or part.attr)
        elif isinstance(part, ast.Name) and part.id in known:
            yield known[part.id]
        elif isinstance(part, ast.Name) and part.id in own:
            yield Place(module, part.id)


def reached() -> set[Place]:
    """Return every function and class that pages name, and what those name."""
    waiting = [
        place
        for path in sorted((ROOT / "faces" / "pages").rglob("*.py"))
        for module in [str(path.relative_to(ROOT).with_suffix(""))]
        for name in definitions(module)
        for place in [Place(module, name)]
    ]
    found: set[Place] = set()
    while waiting:
        place = waiting.pop()
        if place in found or place.name not in definitions(place.module):
            continue
        found.add(place)
        waiting += named(place.module, definitions(place.module)[place.name])
    return found


def plain(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the words in an expression that no gettext has seen; what is put into a text is no word of ours."""
    if isinstance(node, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        if called in CALLS.keys() | WITH_CONTEXT:
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr not in {"join", "append"}:
            return  # a value
    if isinstance(node, ast.FormattedValue | ast.Subscript | ast.Compare):
        return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        yield from plain(node.left)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(c.isalpha() for c in node.value):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from plain(child)


def is_mistake(node: ast.AST) -> bool:
    """Return whether this is a class of mistakes, which says for all of them what is wrong."""
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id in SHOWN for base in node.bases
    )


def said(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what is said where something is raised or put on a list of mistakes."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in SHOWN:
            yield from part.args
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            target = part.func.value
            if (
                (part.func.attr in {"append", "extend"} and isinstance(target, ast.Name) and target.id in LISTS)
                or part.func.attr in SHOWN
                or (part.func.attr == "__init__" and is_mistake(node))
            ):
                yield from part.args
        elif isinstance(part, ast.AugAssign | ast.Assign | ast.AnnAssign) and part.value is not None:
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            if any(isinstance(target, ast.Name) and target.id in LISTS for target in targets):
                yield part.value


def untranslated() -> set[str]:
    """Return where a page may show English that nobody has translated, as module:function: words."""
    return {
        f"{place.module}.py:{place.name}: {word.value}"
        for place in reached()
        if place.module not in OPERATORS
        for expression in said(definitions(place.module)[place.name])
        for word in plain(expression)
    }

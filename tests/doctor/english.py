"""Which English texts do doctor, self-test and sheet have? Every string of their modules that has words, with numbered places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2] / "fabgate"
_FOLDERS: Final = ("doctor", "gate/doctor", "gate/selftest")
#: Functions of installed.py whose texts are parts of errors, or of the collector's doctor, which are English everywhere.
_OF_ERRORS: Final = {
    "again",
    "cleanly",
    "library",
    "_pip",
    "plug_in",
    "new_tables",
    "driver",
    "database_library",
    "collector",
    "demo",
}
_FILES: Final = ("installed.py", "cli/examination.py", "mqtt/certificates.py", "mqtt/rights.py")


#: A next step that begins with one of these is a command, in every language.
_COMMANDS: Final = (
    "apt",
    "chmod",
    "dmesg",
    "echo",
    "install",
    "passwd",
    "raspi-config",
    "sudo",
    "systemctl",
    "usermod",
)


def templates() -> set[str]:
    """Return each text for people; where a word is chosen by a condition, one for each choice.

    Errors of usage are left out, because they are English everywhere, and commands.
    """
    paths = [path for folder in _FOLDERS for path in (_ROOT / folder).glob("*.py")]
    paths += [_ROOT / file for file in _FILES]
    found = {text for path in paths for text in _texts(ast.parse(path.read_text("utf-8")))}
    return {
        text
        for text in found
        if re.search(r"[a-z]{2,}[^/a-z].* |[ “(][a-z]{2}", text.rstrip()) and not _is_command(text)
    }


def _is_command(text: str) -> bool:
    parts = text.replace("{1}; ", "").split("; ")
    return all(part.split(" ")[0] in (*_COMMANDS, "reboot") for part in parts)


def _texts(tree: ast.AST) -> Iterator[str]:
    left_out = {id(child) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for child in _inner(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # docstrings
            left_out.add(id(node.value))
        elif (isinstance(node, ast.FunctionDef) and node.name in _OF_ERRORS) or (
            isinstance(node, ast.Raise) and "UsageError" in ast.dump(node)
        ):
            left_out |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if is_text and id(node) not in left_out:
            for words in product(*_choices(node)):
                numbers = iter(range(1, 20))
                yield "".join(f"{{{next(numbers)}}}" if word is None else word for word in words)


def _inner(node: ast.JoinedStr) -> Iterator[ast.AST]:
    """Yield the pieces of an f-string, but not what its values are made of."""
    for part in node.values:
        yield part
        if isinstance(part, ast.FormattedValue):
            if part.format_spec is not None:
                yield from ast.walk(part.format_spec)
            if isinstance(part.value, ast.IfExp):
                yield from (side for side in (part.value.body, part.value.orelse) if isinstance(side, ast.Constant))


def _choices(node: ast.AST) -> Iterator[list[str | None]]:
    """Yield what each part of a text may be; None for a value that is not known."""
    if isinstance(node, ast.Constant):
        yield [str(node.value)]
    elif isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.Constant):
                yield [str(part.value)]
            elif isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
                yield [_constant(part.value.body), _constant(part.value.orelse)]
            else:
                yield [None]


def _constant(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

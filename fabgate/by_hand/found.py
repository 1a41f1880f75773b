"""What the checks before a move found, and what several of them need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass(slots=True)
class Found:
    """What was found: `wrong` ends the command, `notes` are for the person."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Texts of drop-ins by their names.
    drop_ins: dict[str, str] = field(default_factory=dict)
    #: What the doctor says of the tables if the package has to change them, otherwise "".
    tables: str = ""
    #: Files of the database that are copied before its tables change.
    kept: list[str] = field(default_factory=list)


def mapping(text: str) -> dict[str, Any]:
    """Return a text of YAML as a mapping; {} for anything else, because the program names the mistake."""
    found = _yaml(text)
    return found if isinstance(found, dict) else {}


def words(text: str) -> set[str]:
    """Return each value of a text of YAML that is a text."""
    return set(_words(_yaml(text)))


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
        return None

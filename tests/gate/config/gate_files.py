"""The smallest gate.yaml, the annotated example, and all keys."""

from __future__ import annotations

import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Driver

EXAMPLE = Path(__file__).parents[3] / "config" / "gate.yaml"

KEY = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="


#: The smallest whole configuration, a key a line.
LINES = {
    "site": "site: lyon",
    "gate": "gate: laser-1",
    "state_dir": "state_dir: state",
    "reader": "reader: {driver: mfrc522}",
    "output": "output: {driver: gpio, pin: 17}",
    "roster": "roster: {file: members.yaml}",
}


def example(*, all_on: bool) -> str:
    text = EXAMPLE.read_text(encoding="utf-8")
    return re.sub(r"^(\s*)#(?=[^\s#])", r"\1", text, flags=re.MULTILINE) if all_on else text


def keys_of(kind: Any, where: str = "") -> dict[str, Any]:
    """Return every dotted key below a type, and its default."""
    found: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        if get_origin(hint) in (Union, UnionType):
            hint = next(arg for arg in get_args(hint) if arg is not NoneType)
        if get_origin(hint) is list:
            hint = get_args(hint)[0]
        key = f"{where}{field.name}"
        if hint is Driver:
            found[f"{key}.driver"] = msgspec.NODEFAULT
            if field.name == "reader":
                found[f"{key}.holds"] = False
            for point in gate_yaml.entry_points(group=gate_yaml.KINDS[field.name]):
                found |= keys_of(point.load().Options, f"{key}.")
        elif isinstance(hint, type) and issubclass(hint, Struct):
            found |= keys_of(hint, f"{key}.")
        else:
            found[key] = field.default
    return found


def written(value: Any, where: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        return {key: leaf for item in value for key, leaf in written(item, where).items()}
    if not isinstance(value, dict):
        return {where.rstrip("."): value}
    return {key: leaf for name, below in value.items() for key, leaf in written(below, f"{where}{name}.").items()}

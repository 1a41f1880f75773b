"""Write the JSON Schemas of the messages in ``fabgate.wire`` into docs/schema: ``python -m tools.schema``.

A test fails while they are not current. They describe what this version writes; readers must ignore unknown fields.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from fabgate import wire

FOLDER = Path(__file__).parents[1] / "docs" / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: Every message of the wire except the data of entries, by the name of its schema.
MESSAGES: dict[str, type[msgspec.Struct]] = {
    "entry": wire.Entry,
    "ack": wire.Ack,
    "status": wire.Status,
    "state": wire.State,
    "collector-status": wire.CollectorStatus,
    "roster-nudge": wire.RosterNudge,
    "command": wire.Command,
    "reply": wire.Reply,
    "roster": wire.Roster,
    "prices": wire.Prices,
}


def schemas() -> dict[str, str]:
    """Return the text of every schema by its file name."""
    kinds = MESSAGES | {f"data.{name}": kind for name, kind in wire.ENTRY_TYPES.items()}
    return {f"{name}.json": _text(name, kind) for name, kind in sorted(kinds.items())}


def _text(name: str, kind: type[msgspec.Struct]) -> str:
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for part in parts.values():
        if "description" in part:
            part["description"] = inspect.cleandoc(part["description"])  # as Python 3.13 does
    schema: dict[str, Any] = {"$schema": DIALECT, "$id": name, **parts.pop(kind.__name__, root)}
    if parts:
        schema["$defs"] = parts
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all schemas, and remove those of messages that no longer exist."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

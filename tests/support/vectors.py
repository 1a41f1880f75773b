"""The tables of docs/vectors.md."""

from __future__ import annotations

from pathlib import Path

VECTORS = Path(__file__).parents[2] / "docs" / "vectors.md"


def table(heading: str) -> list[tuple[str, ...]]:
    """Return the rows of the table under a heading of docs/vectors.md."""
    text = VECTORS.read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert lines, heading
    return [tuple(_cell(cell) for cell in line.strip("| ").split(" | ")) for line in lines]


def _cell(text: str) -> str:
    return "" if text == "(nothing)" else text.strip("`").replace("↵", "\n")

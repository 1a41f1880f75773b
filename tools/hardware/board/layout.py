"""Where is each pin of the gate board, and which wires join them? Reads hardware/builds/layout.yaml.

A hole is a column and a row, from 1, as seen from the side of the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tools.hardware import builds
from tools.hardware.builds import Build

Hole = tuple[int, int]
Box = tuple[float, float, float, float]
_PITCH_MM: Final = 2.54
_CELL: Final = 24  # of the drawing, in its own units
_COLOURS: Final = {"GND": "#4b5563", "+24V": "#dc2626", "3V3": "#d97706", "5V": "#9333ea"}


def spell(hole: Hole) -> str:
    """Return the name of a hole: a letter for its row, and the number of its column."""
    return f"{chr(ord('A') + hole[1] - 1)}{hole[0]}"


def pins(build: Build) -> dict[str, Hole]:
    """Return the hole of each pin that a build has on its board: ``U1.16``."""
    return {
        f"{name.partition('.')[0]}.{pin}": hole for name, part in parts(build).items() for pin, hole in part.items()
    }


def parts(build: Build) -> dict[str, dict[int, Hole]]:
    """Return the holes of each part. A strip that goes around a corner is two: ``X2`` and ``X2.15``."""
    table = builds.load("builds/layout.yaml")
    found = {}
    for name, (kind, count) in _shapes(build, table).items():
        found[name] = _holes(table["kinds"][kind], _place(name, table), count, first=int(name.partition(".")[2] or 1))
    return found


def _shapes(build: Build, table: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Return the kind of each part, and how many pins it has."""
    blocks = builds.load("builds/board.yaml")["terminals"]
    found: dict[str, tuple[str, int]] = {}
    for name in (name for name in blocks if name in build.devices):
        around = [key for key in table["places"] if key.startswith(f"{name}.")]
        ends = [*(int(key.partition(".")[2]) for key in around), len(blocks[name]["pins"]) + 1]
        for key, first, end in zip((name, *around), (1, *ends), ends, strict=False):
            found[key] = (key, end - first)
    for name, row in builds.board_of(build).items():
        found[name] = (row["part"], table["kinds"][row["part"]].get("dil", 2))
    return found


def _place(name: str, table: Mapping[str, Any]) -> Hole:
    if name in table["places"]:
        column, row = table["places"][name]
        return (column, row)
    column, row = table["inputs"]["places"][name[:-1]]
    return (column + (int(name[-1]) - 1) * table["inputs"]["step"], row)


def _holes(kind: Mapping[str, Any], start: Hole, count: int, *, first: int) -> dict[int, Hole]:
    column, row = start
    if "dil" in kind:
        half = kind["dil"] // 2
        below = {number: (column + number - 1, row) for number in range(1, half + 1)}
        above = {number: (column + 2 * half - number, row - 3) for number in range(half + 1, 2 * half + 1)}
        return below | above
    dx, dy = kind["step"]
    return {first + number: (column + number * dx, row + number * dy) for number in range(count)}


def bodies(build: Build) -> dict[str, Box]:
    """Return what each part covers: left, top, right and bottom."""
    table = builds.load("builds/layout.yaml")
    found = {}
    placed = parts(build)
    for name, (kind, _) in _shapes(build, table).items():
        holes = placed[name].values()
        wide, high = table["kinds"][kind]["body"]
        columns, rows = [x for x, _ in holes], [y for _, y in holes]
        found[name] = (min(columns) - wide, min(rows) - high, max(columns) + wide, max(rows) + high)
    return found


def nets(build: Build) -> dict[str, list[str]]:
    """Return each net of the board with the pins that it joins."""
    blocks = builds.load("builds/board.yaml")["terminals"]
    found: dict[str, list[str]] = {}
    for name, table in {name: block["pins"] for name, block in blocks.items() if name in build.devices}.items():
        for pin, net in table.items():
            found.setdefault(str(net), []).append(f"{name}.{pin}")
    for name, row in builds.board_of(build).items():
        for pin, net in row["pins"].items():
            found.setdefault(str(net), []).append(f"{name}.{pin}")
    return {net: ends for net, ends in found.items() if len(ends) > 1}


def joints(build: Build) -> list[tuple[str, str, str]]:
    """Return the wires to solder: the net, and both ends. Each net is joined by the shortest wires that do (Prim)."""
    place = pins(build)
    found = []
    for net, ends in nets(build).items():
        joined, left = [ends[0]], ends[1:]
        while left:
            start, end = min(((a, b) for a in joined for b in left), key=lambda pair: _distance(place, *pair))
            found.append((net, start, end))
            joined.append(end)
            left.remove(end)
    return found


def _distance(place: Mapping[str, Hole], start: str, end: str) -> tuple[int, str, str]:
    (x, y), (u, v) = place[start], place[end]
    return abs(x - u) + abs(y - v), start, end


def millimetres(place: Mapping[str, Hole], start: str, end: str) -> int:
    """Return how long a wire between two pins is that keeps to rows and columns."""
    return round(_distance(place, start, end)[0] * _PITCH_MM)


def picture(build: Build) -> str:
    """Return the board as SVG, seen from the side of the parts; the wires are below it."""
    size = builds.load("builds/layout.yaml")["size"]
    wide, high = (size["columns"] + 2) * _CELL, (size["rows"] + 2) * _CELL
    items = [
        f'<rect x="{_CELL}" y="{_CELL}" width="{wide - 2 * _CELL}" height="{high - 2 * _CELL}" rx="6" fill="#f3f7f2" stroke="#6b7280"/>'
    ]
    for column in range(1, size["columns"] + 1):
        items += [_text(str(column), column, 0.3, 11), _text(str(column), column, size["rows"] + 0.85, 11)]
        items += [_circle((column, row), 2, "#c9d3c7") for row in range(1, size["rows"] + 1)]
    for row in range(1, size["rows"] + 1):
        letter = spell((1, row))[0]
        items += [_text(letter, 0.25, row, 11), _text(letter, size["columns"] + 0.75, row, 11)]
    place = pins(build)
    for net, start, end in joints(build):
        (x, y), (u, v) = (_point(place[pin]) for pin in (start, end))
        colour = _COLOURS.get(net, "#2563eb")
        items.append(f'<line x1="{x}" y1="{y}" x2="{u}" y2="{v}" stroke="{colour}" stroke-width="3" opacity="0.55"/>')
    for name, (left, top, right, bottom) in bodies(build).items():
        (x, y), (u, v) = _point((left, top)), _point((right, bottom))
        items.append(
            f'<rect x="{x}" y="{y}" width="{u - x}" height="{v - y}" rx="3" fill="#ffffff" fill-opacity="0.6" stroke="#1f2937"/>'
        )
        items.append(_name(name, left, top, right, bottom))
    for pin, hole in place.items():
        items += [_circle(hole, 7.5, "#111827"), _text(pin.partition(".")[2], *hole, 9, fill="#ffffff")]
    body = "\n".join(items)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="DejaVu Sans, Arial, sans-serif">\n'
        f'<title>Gate board A3, {build.name}</title>\n<rect width="{wide}" height="{high}" fill="white"/>\n{body}\n</svg>\n'
    )


def _name(name: str, left: float, top: float, right: float, bottom: float) -> str:
    """Write a part's name into its body, along it; that of a strip where it hides no pin and no letter of the board."""
    x, y = (left + right) / 2, (top + bottom) / 2
    is_tall = bottom - top > right - left
    if name.startswith("X"):
        shown = name.partition(".")[0]
        if top < 1:  # a pin header is no wider than its pins
            return _text(shown, right + 0.6, y, 13, bold=True)
        return _text(shown, right - 0.5, y, 13, bold=True) if is_tall else _text(shown, x, bottom - 0.5, 13, bold=True)
    return _text(name, x, y, 13, bold=True, turn=90 if is_tall and not name.startswith("U") else 0)


def _point(hole: tuple[float, float]) -> tuple[float, float]:
    return round((hole[0] + 0.5) * _CELL, 1), round((hole[1] + 0.5) * _CELL, 1)


def _circle(hole: Hole, size: float, fill: str) -> str:
    x, y = _point(hole)
    return f'<circle cx="{x}" cy="{y}" r="{size}" fill="{fill}"/>'


def _text(
    words: str, column: float, row: float, size: int, *, fill: str = "#374151", bold: bool = False, turn: int = 0
) -> str:
    x, y = _point((column, row))
    turned = f' transform="rotate({turn} {x} {y})"' if turn else ""
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x}" y="{round(y + size * 0.36, 1)}" font-size="{size}"{weight} text-anchor="middle" fill="{fill}"{turned}>'
        f"{words}</text>"
    )

"""Where is each pin of the gate board, and which wires join them? Reads hardware/builds/layout.yaml.

A hole is a column and a row, from 1, as seen from the side of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import pairwise
from math import dist, hypot, inf
from typing import Any, Final

from tools.hardware import builds
from tools.hardware.builds import Build

Hole = tuple[int, int]
Box = tuple[float, float, float, float]
_PITCH_MM: Final = 2.54
#: What a wire keeps from the middle of the pads of others, in holes: best 1.8 mm; between two pins, 1.2 mm.
APART: Final = (0.7, 0.45)
_CLOSE: Final = 2  # holes by which a way that comes nearer than the first of these counts longer
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
        kind = table["kinds"][row["part"]]
        found[name] = (row["part"], kind.get("dil") or kind.get("pins", 2))
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


def ways(build: Build) -> list[tuple[tuple[str, str, str], list[Hole]]]:
    """Return each wire with the holes of its way: it bends where it would cross a pad, or the bend of another wire.

    The bench's wires leave room for what the standard adds to its board.
    """
    place, whole = pins(build), pins(builds.read("standard"))
    found = _ways(tuple((place[start], place[end]) for _, start, end in joints(build)), frozenset(whole.values()))
    return list(zip(joints(build), found, strict=True))


@cache
def _ways(wires: tuple[tuple[Hole, Hole], ...], pads: frozenset[Hole]) -> list[list[Hole]]:
    size, bends = builds.load("builds/layout.yaml")["size"], set[Hole]()
    holes = {(x, y) for x in range(1, size["columns"] + 1) for y in range(1, size["rows"] + 1)}
    found = []
    for start, end in wires:
        others, free = pads - {start, end}, holes - pads
        way = _way(start, end, others | bends, free - bends) or _way(start, end, others, free)
        if not way:
            raise ValueError(f"board: found no way from {spell(start)} to {spell(end)}, wanted one with two bends")
        bends |= set(way[1:-1])
        found.append(way)
    return found


def _way(start: Hole, end: Hole, taken: AbstractSet[Hole], free: AbstractSet[Hole]) -> list[Hole]:
    """Return the shortest way with one bend at most, or with two where it must be; what comes near a pad counts longer.

    Returns an empty list where there is none.
    """
    if clearance(start, end, taken) >= APART[0]:
        return [start, end]
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(start, end, strict=True))
    near = sorted(h for h in free if left - 3 <= h[0] <= right + 3 and top - 3 <= h[1] <= bottom + 3)
    out = {hole: clearance(start, hole, taken) for hole in near}
    back = {hole: clearance(hole, end, taken) for hole in near}
    best: tuple[float, list[Hole]] = (inf, [])
    ways = [(clearance(start, end, taken), [start, end])]
    ways += [(min(out[hole], back[hole]), [start, hole, end]) for hole in near]
    for apart, way in ways:
        if apart >= APART[1]:
            best = min(best, (length(way) + (0 if apart >= APART[0] else _CLOSE), way))
    if best[0] <= 1.2 * dist(start, end) + _CLOSE:
        return best[1]
    first, last = ([hole for hole in near if table[hole] >= APART[1]] for table in (out, back))
    for way in sorted(([start, one, two, end] for one in first for two in last if one != two), key=length):
        if length(way) >= best[0]:
            break
        if clearance(way[1], way[2], taken) >= APART[1]:
            return way
    return best[1]


def clearance(start: Hole, end: Hole, pads: Iterable[Hole]) -> float:
    """Return how near the straight line between two holes comes to the next pad, in holes; more than one is one."""
    (x, y), (u, v) = start, end
    dx, dy = u - x, v - y
    square = dx * dx + dy * dy
    (left, right), (top, bottom) = sorted((x, u)), sorted((y, v))
    found = 1.0
    for column, row in pads:
        if left - 1 < column < right + 1 and top - 1 < row < bottom + 1:
            along = min(1, max(0, ((column - x) * dx + (row - y) * dy) / square))
            found = min(found, hypot(x + along * dx - column, y + along * dy - row))
    return found


def length(way: Sequence[Hole]) -> float:
    """Return how long a way is, in holes."""
    return sum(dist(one, two) for one, two in pairwise(way))


def millimetres(way: Sequence[Hole]) -> int:
    """Return how long a wire is, from its first hole to its last."""
    return round(length(way) * _PITCH_MM)


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
    for number, ((net, _, _), way) in enumerate(ways(build)):
        aside = (number % 3 - 1) * 0.2  # wires that share a row lie side by side
        bent = [way[0], *((x + aside, y + aside) for x, y in way[1:-1]), way[-1]]
        places = " ".join(f"{x},{y}" for x, y in map(_point, bent))
        colour = _COLOURS.get(net, "#2563eb")
        items.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="3" stroke-linejoin="round" opacity="0.6"/>'
        )
    for name, (left, top, right, bottom) in bodies(build).items():
        (x, y), (u, v) = _point((left, top)), _point((right, bottom))
        items.append(
            f'<rect x="{x}" y="{y}" width="{u - x}" height="{v - y}" rx="3" fill="#ffffff" fill-opacity="0.6" stroke="#1f2937"/>'
        )
        items += [*_mark(name, build), _name(name, left, top, right, bottom)]
    wired = {end for _, *ends in joints(build) for end in ends}
    for pin, hole in place.items():  # hollow where no wire ends
        dot, number = ("#111827", "#ffffff") if pin in wired else ("#ffffff", "#6b7280")
        items += [_circle(hole, 7.5, dot, edge=number), _text(pin.partition(".")[2], *hole, 9, fill=number)]
    body = "\n".join(items)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="DejaVu Sans, Arial, sans-serif">\n'
        f'<title>Gate board A3, {build.name}</title>\n<rect width="{wide}" height="{high}" fill="white"/>\n{body}\n</svg>\n'
    )


def _mark(name: str, build: Build) -> list[str]:
    """Return what shows where pin 1 is: the notch of a chip or relay, the stripe of a diode, a transistor's flat side."""
    left, top, right, bottom = bodies(build)[name]
    if name.startswith("D"):
        (x, y), (u, _) = _point((left, top + 0.75)), _point((right, top))
        return [f'<rect x="{x}" y="{y}" width="{round(u - x, 1)}" height="5" fill="#1f2937"/>']
    if name.startswith("T"):  # its pins run downwards
        (x, y), (_, v) = _point((left, top)), _point((right, bottom))
        return [f'<rect x="{x}" y="{y}" width="4" height="{round(v - y, 1)}" fill="#1f2937"/>']
    if name.startswith(("U", "K")):
        x, y = _point((left, (top + bottom) / 2))
        return [f'<path d="M {x} {y - 8} A 8 8 0 0 1 {x} {y + 8}" fill="#d1d5db" stroke="#1f2937"/>']
    return []


def _name(name: str, left: float, top: float, right: float, bottom: float) -> str:
    """Write a part's name into its body, along it; that of a strip where it hides no pin and no letter of the board."""
    x, y = (left + right) / 2, (top + bottom) / 2
    is_tall = bottom - top > right - left
    if name.startswith("X"):
        shown = name.partition(".")[0]
        if top < 1:  # a pin header is no wider than its pins
            return _text(shown, right + 0.6, y, 13, bold=True)
        return _text(shown, right - 0.5, y, 13, bold=True) if is_tall else _text(shown, x, bottom - 0.5, 13, bold=True)
    if name.startswith("T"):  # too small for its name
        return _text(name, x, top - 0.4, 13, bold=True)
    return _text(name, x, y, 13, bold=True, turn=90 if is_tall and not name.startswith("U") else 0)


def _point(hole: tuple[float, float]) -> tuple[float, float]:
    return round((hole[0] + 0.5) * _CELL, 1), round((hole[1] + 0.5) * _CELL, 1)


def _circle(hole: Hole, size: float, fill: str, *, edge: str = "none") -> str:
    x, y = _point(hole)
    return f'<circle cx="{x}" cy="{y}" r="{size}" fill="{fill}" stroke="{edge}"/>'


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

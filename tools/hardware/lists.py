"""Which lists does a volunteer hold in the hand: what to buy, and where each wire begins and ends?"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from tools.hardware import builds, circuit
from tools.hardware.board import layout
from tools.hardware.builds import Build, Device, End, Wire

#: Bought once for several wires: the designators say where it goes, not how many are wanted.
_BY_THE_PACK = ("jumpers", "wire_05", "wire_mains", "wire_control", "terminals")


def bom(build: Build) -> str:
    """Return the bill of materials as CSV; the last row is the sum in euros."""
    catalogue = builds.parts()
    rows = []
    for part, names in builds.quantities(build).items():
        row, count = catalogue[part], _pieces(part, names)
        marks = " ".join(name for name in names if name != "-")
        cents = f"{count * row['eur']:.2f}"
        rows.append([row.get("by", "volunteer"), str(count), marks, row["what"], row["choose"], cents])
    rows.sort(key=lambda row: row[0] == "electrician")
    return _csv(
        ["who chooses", "pieces", "in the drawing", "part", "what matters", "about EUR"],
        [*rows, *([who, "", "", "sum", "", str(cost)] for who, cost in costs(build).items())],
    )


def costs(build: Build) -> dict[str, int]:
    """Return what the parts of each builder cost, in whole euros."""
    total: Counter[str] = Counter()
    for part, names in builds.quantities(build).items():
        row = builds.parts()[part]
        total[row.get("by", "volunteer")] += _pieces(part, names) * row["eur"]
    return {who: round(cost) for who, cost in total.items()}


def _pieces(part: str, names: Sequence[str]) -> int:
    return 1 if part in _BY_THE_PACK else len(names)


def options() -> str:
    """Return what to buy for each option, and where its wires are described, as CSV."""
    catalogue = builds.parts()
    return _csv(
        ["option", "what it is", "wires", "pieces", "part", "what matters", "about EUR"],
        (
            [name, row["what"], row["page"], str(count), part["what"], part["choose"], f"{count * part['eur']:.2f}"]
            for name, row in builds.load("builds/options.yaml").items()
            for part, count in ((catalogue[key], count) for key, count in row["parts"].items())
        ),
    )


def wires(build: Build) -> str:
    """Return each wire with both ends as CSV."""
    return _csv(
        ["wire", "cable", "colour", "from", "pin", "to", "pin", "who"],
        (
            [
                wire.name,
                build.cables[wire.cable].text,
                f"black, number {wire.number}" if build.cables[wire.cable].is_numbered else wire.look,
                *_end(build.devices[wire.start.device], wire.start),
                *_end(build.devices[wire.end.device], wire.end),
                _who(build, wire),
            ]
            for wire in build.wires()
        ),
    )


def _who(build: Build, wire: Wire) -> str:
    """Return who connects a wire. A cable between the boxes has two ends and two people."""
    ends = {build.devices[end.device].by for end in (wire.start, wire.end)}
    if build.cables[wire.cable].by == "volunteer" and "electrician" in ends:
        return "end in the gate box: volunteer; other end: electrician"
    return build.cables[wire.cable].by


def terminals(build: Build) -> str:
    """Return what ends at each terminal of the strips and the gate board as CSV."""
    rows = []
    for device in build.devices.values():
        if device.name.startswith("X"):
            for pin, label in device.pins.items():
                there = [w.name for w in build.wires() if (device.name, pin) in (_place(w.start), _place(w.end))]
                rows.append([f"{device.name}.{pin}", device.text, label or pin, " ".join(there) or "free"])
    return _csv(["terminal", "strip", "for", "wires"], rows)


def board(build: Build) -> str:
    """Return each wire on the gate board as CSV: its net, both ends with their holes, and where it bends."""
    place = layout.pins(build)
    return _csv(
        ["net", "from", "hole", "to", "hole", "bends at", "mm from hole to hole"],
        (
            [
                net,
                start,
                layout.spell(place[start]),
                end,
                layout.spell(place[end]),
                " ".join(layout.spell(hole) for hole in way[1:-1]),
                str(layout.millimetres(way)),
            ]
            for (net, start, end), way in layout.ways(build)
        ),
    )


def _place(end: End) -> tuple[str, str]:
    return (end.device, end.pin)


def _end(device: Device, end: End) -> tuple[str, str]:
    return (f"{device.name} ({device.text})", f"{end.pin} ({end.label})" if end.label else end.pin)


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def all_of(build: Build) -> dict[str, str]:
    """Return the lists of a build by the name of their file."""
    found = {"bom.csv": bom(build), "wires.csv": wires(build)}
    if build.live:
        found["circuit.svg"] = circuit.picture(build)
    if any(device.raw.get("board") for device in build.devices.values()):
        found["terminals.csv"] = terminals(build)
        if not build.base:  # the board of a variant is that of its base
            found |= {"board.csv": board(build), "board.svg": layout.picture(build)}
    return found

"""Draws the wiring of a build with WireViz, one sheet after another. Needs Graphviz (`dot`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tools.hardware.builds import Build, Cable, Device, Wire


def draw(build: Build, sheet: str, folder: Path) -> None:
    """Write ``<build>-<sheet>.svg`` to `folder`."""
    from wireviz.wireviz import parse  # noqa: PLC0415 - in an environment of its own
    from wireviz.wv_colors import get_color_hex  # noqa: PLC0415 - the same

    drawing = parse(harness(build, sheet), return_types="harness")
    for device in drawing.connectors.values():
        if device.loops:  # on the left: on the right they would cross the wires
            device.ports_left = True
    path = folder / f"{build.name}-{sheet}"
    drawing.output(path, fmt=("svg",), view=False)
    picture = path.with_suffix(".svg")
    text = picture.read_text("utf-8")
    # WireViz draws each link in white.
    links = [wire for cable in build.cables.values() if cable.sheet == sheet for wire in cable.wires if _is_link(wire)]
    for wire in links:
        arc = re.escape(f"<title>{wire.start.device}:w&#45;&#45;{wire.end.device}:w</title>")
        text = re.sub(
            rf'({arc}[^#]*#[^#]*)stroke="#ffffff"', rf'\1stroke="{get_color_hex(wire.colour)[0]}"', text, count=1
        )
    # A black wire is three black lines: without a seam between them.
    picture.write_text(
        text.replace('stroke="#000000" stroke-width="2"', 'stroke="#000000" stroke-width="2.3"'), "utf-8"
    )


def harness(build: Build, sheet: str) -> dict[str, Any]:
    """Return what WireViz draws: the cables of a sheet, and of each device the pins that are wired there."""
    cables = [cable for cable in build.cables.values() if cable.sheet == sheet]
    wires = [wire for cable in cables for wire in cable.wires]
    wired = {(end.device, end.pin) for wire in wires for end in (wire.start, wire.end)}
    # A wire between two pins of one device is an arc at its side: as a cable it would run around the drawing.
    between = [wire for wire in wires if not _is_link(wire)]
    links = [wire for wire in wires if _is_link(wire)]
    # A chain of devices is wide; the less room between them, the larger the text where it must fit a page.
    is_long = bool({wire.start.device for wire in between} & {wire.end.device for wire in between})
    names = dict.fromkeys(end.device for wire in wires for end in (wire.start, wire.end))
    return {
        "metadata": {"title": build.title},
        "options": {"color_mode": "full", "fontname": "DejaVu Sans"},
        "connectors": {name: _connector(build.devices[name], wired, links) for name in names},
        "cables": {cable.name: _cable(cable) for cable in cables if not all(map(_is_link, cable.wires))},
        "connections": [_connection(wire) for wire in between],
        "tweak": {"append": f"graph [ranksep={0.7 if is_long else 1.6}]"},
    }


def _is_link(wire: Wire) -> bool:
    return wire.start.device == wire.end.device


def _connector(device: Device, wired: set[tuple[str, str]], links: list[Wire]) -> dict[str, Any]:
    mine = [wire for wire in links if wire.start.device == device.name]
    # WireViz draws an arc between rows, and takes a pin's number for that of its row: with arcs, all pins are shown.
    pins = [pin for pin in device.pins if mine or (device.name, pin) in wired]
    found: dict[str, Any] = {"type": _apart(device.text), "pins": [_pin(pin) for pin in pins], "show_pincount": False}
    if any(device.pins[pin] for pin in pins):
        found["pinlabels"] = [device.pins[pin] for pin in pins]
    if mine:
        found["loops"] = [[_pin(wire.start.pin), _pin(wire.end.pin)] for wire in mine]
        found["notes"] = "\n".join(f"{wire.name}: {wire.start.pin} to {wire.end.pin}, {wire.look}" for wire in mine)
    return found


def _cable(cable: Cable) -> dict[str, Any]:
    return {
        "category": None if cable.is_numbered else "bundle",
        "type": _apart(cable.text),
        "colors": [wire.colour for wire in cable.wires],
        "show_wirenumbers": True,
        "show_wirecount": False,
    }


def _connection(wire: Wire) -> list[dict[str, Any]]:
    return [{wire.start.device: _pin(wire.start.pin)}, {wire.cable: wire.number}, {wire.end.device: _pin(wire.end.pin)}]


def _apart(words: str) -> str:
    """Return words with room between them and their frame."""
    return f"\u00a0{words}\u00a0"


def _pin(pin: str) -> str | int:
    """Return a pin as WireViz finds it again: it takes digits for numbers."""
    return int(pin) if pin.isdecimal() else pin

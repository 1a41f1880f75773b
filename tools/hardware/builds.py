"""What does a build consist of: which devices, which wires between which pins, which parts?

Reads hardware/pins.yaml and hardware/builds. The words of an end are those of the drawing: ``A1.11`` is pin 11 of A1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

HARDWARE: Final = Path(__file__).parents[2] / "hardware"
NAMES: Final = ("bench", "standard", "three-phases", "plug")
#: IEC 60757.
COLOURS: Final = {
    "BK": "black",
    "BN": "brown",
    "RD": "red",
    "OG": "orange",
    "YE": "yellow",
    "GN": "green",
    "BU": "blue",
    "LB": "light blue",
    "VT": "violet",
    "GY": "grey",
    "WH": "white",
    "GNYE": "green-yellow",
}


@dataclass(frozen=True)
class End:
    """One end of a wire: a pin of a device, and what the pin is called besides its number."""

    device: str
    pin: str
    label: str = ""

    def __str__(self) -> str:
        """Return the end as builds spell it."""
        return f"{self.device}.{self.pin}"


@dataclass(frozen=True)
class Wire:
    """A wire with both ends. `number` counts within its cable, from 1."""

    cable: str
    number: int
    colour: str
    start: End
    end: End

    @property
    def name(self) -> str:
        """Return the mark on both ends."""
        return f"{self.cable}.{self.number}"

    @property
    def look(self) -> str:
        """Return how the wire looks."""
        return COLOURS[self.colour]


@dataclass(frozen=True)
class Device:
    """Something with pins. `pins` gives the label of each, empty where the pin's name says enough."""

    name: str
    text: str
    pins: Mapping[str, str]
    part: str | None
    by: str
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Cable:
    """Wires that lie together, on one sheet of the drawing."""

    name: str
    text: str
    part: str | None
    by: str
    sheet: str
    is_numbered: bool
    wires: tuple[Wire, ...]


@dataclass(frozen=True)
class Build:
    """One build. `uses` has the keys of gate.yaml that it wires, `base` the build of which it is a variant."""

    name: str
    title: str
    driver: str
    uses: tuple[str, ...]
    devices: Mapping[str, Device]
    cables: Mapping[str, Cable]
    more: Mapping[str, int | list[int | str]]
    base: str | None = None

    def wires(self) -> Iterator[Wire]:
        """Yield each wire, in the order of the cables."""
        for cable in self.cables.values():
            yield from cable.wires

    def sheets(self) -> list[str]:
        """Return the sheets of the drawing in their order; of a variant, those that differ."""
        same = set() if self.base is None else set(read(self.base).cables)
        return list(dict.fromkeys(cable.sheet for cable in self.cables.values() if cable.name not in same))


@cache
def load(path: str) -> Any:
    """Return what a file below hardware/ says. Nobody changes it."""
    return yaml.safe_load((HARDWARE / path).read_text("utf-8"))


@cache
def pins() -> Any:
    """Return hardware/pins.yaml."""
    return load("pins.yaml")


@cache
def parts() -> Any:
    """Return the catalogue of parts."""
    return load("builds/parts.yaml")


@cache
def header() -> dict[str, str]:
    """Return the label of each pin of the header that pins.yaml names."""
    table = pins()
    found = {row["header"]: f"GPIO {row['gpio']}" for row in (*table["pins"], *table["panels"])}
    found |= {row["header"]: row["name"] for row in table["power"]}
    return {str(pin): label for pin, label in sorted(found.items())}


def keys(build: str) -> tuple[str, ...]:
    """Return the keys of gate.yaml that a build wires, in the order of pins.yaml. Its budget names keys and groups."""
    table = pins()
    words = table["builds"][build]
    rows = [row["key"] for row in (*table["pins"], *table["panels"])]
    return tuple(key for key in rows if any(key == word or key.startswith(f"{word}.") for word in words))


def board(uses: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """Return the parts on the gate board that the keys `uses` need, each with `part` and the net of each of its pins."""
    table = load("builds/board.yaml")
    found = {name: row for name, row in table["parts"].items() if row["for"] in uses}
    for number, channel in table["inputs"]["nets"].items():
        for name, row in table["inputs"]["parts"].items():
            if channel["for"] in uses:
                nets = {pin: net.format(channel["net"]) for pin, net in row["pins"].items()}
                found[f"{name}{number}"] = {**row, "pins": nets}
    return found


@cache
def read(name: str) -> Build:
    """Return a build. Raises ValueError where a wire ends at a pin that is not there, or has no colour of IEC 60757."""
    raw = load(f"builds/{name}.yaml")
    if base := raw.get("base"):
        raw = _variant(load(f"builds/{base}.yaml"), raw)
    terminals = load("builds/board.yaml")["terminals"]
    devices = {key: _device(key, row, terminals) for key, row in raw["devices"].items()}
    cables = {key: _cable(key, row, devices) for key, row in raw["cables"].items()}
    return Build(name, raw["title"], raw["driver"], keys(base or name), devices, cables, raw["more"], base)


def _variant(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    cables = {name: row for name, row in base["cables"].items() if name not in change["without"]}
    devices = {**base["devices"], **change["devices"]}
    return {**base, **change, "devices": devices, "cables": {**cables, **change["cables"]}}


def _device(name: str, row: Mapping[str, Any], terminals: Mapping[str, Any]) -> Device:
    if row.get("board"):
        block = terminals[name]
        labels = block.get("labels", block["pins"])
        labelled = {str(pin): str(label) for pin, label in labels.items()}
        return Device(name, block["text"], labelled, None, "volunteer", row)
    pins_of = header() if row.get("header") else row["pins"]
    labelled = {str(pin): str(pins_of[pin]) if isinstance(pins_of, Mapping) else "" for pin in pins_of}
    return Device(name, row["text"], labelled, row.get("part"), row.get("by", "volunteer"), row)


def _cable(name: str, row: Mapping[str, Any], devices: Mapping[str, Device]) -> Cable:
    def end(text: str) -> End:
        device, _, pin = text.partition(".")
        if device not in devices:
            raise ValueError(f"{name}: found {text}, wanted a pin of {', '.join(devices)}")
        if pin not in devices[device].pins:
            raise ValueError(f"{name}: found {text}, wanted one of the pins {', '.join(devices[device].pins)}")
        return End(device, pin, devices[device].pins[pin])

    wrong = [colour for _, colour, _ in row["wires"] if colour not in COLOURS]
    if wrong:
        raise ValueError(f"{name}: found the colour {wrong[0]}, wanted one of {', '.join(COLOURS)}")
    wires = tuple(
        Wire(name, number, colour, end(str(start)), end(str(stop)))
        for number, (start, colour, stop) in enumerate(row["wires"], start=1)
    )
    return Cable(
        name,
        row["text"],
        row.get("part"),
        row.get("by", "volunteer"),
        row["sheet"],
        row.get("numbered", False),
        wires,
    )


def quantities(build: Build) -> dict[str, list[str]]:
    """Return which designators each part of a build has, or as many dashes where a part has none."""
    found: dict[str, list[str]] = {}
    for device in build.devices.values():
        if device.part:
            found.setdefault(device.part, []).append(device.name)
    for cable in build.cables.values():
        if cable.part:
            found.setdefault(cable.part, []).append(cable.name)
    for name, row in board_of(build).items():
        found.setdefault(row["part"], []).append(name)
    for part, words in build.more.items():  # how many, where they go, or both
        listed = words if isinstance(words, list) else [words]
        marks = [word for word in listed if isinstance(word, str)]
        count = next((word for word in listed if isinstance(word, int)), len(marks))
        found.setdefault(part, []).extend([*marks, *["-"] * (count - len(marks))])
    return found


def board_of(build: Build) -> dict[str, Mapping[str, Any]]:
    """Return the parts on the gate board of a build, none where it has no board."""
    return board(build.uses) if any(device.raw.get("board") for device in build.devices.values()) else {}


def loads_ma(build: Build) -> Counter[str]:
    """Return the most that the devices of a build take from each supply, in mA."""
    total: Counter[str] = Counter()
    for device in build.devices.values():
        total.update(device.raw.get("draws_ma", {}))
    for part in board_of(build).values():
        total.update(part.get("draws_ma", {}))
    return total

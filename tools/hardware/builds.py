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

from tools.hardware import live

HARDWARE: Final = Path(__file__).parents[2] / "hardware"
NAMES: Final = ("bench", "standard", "three-phases", "three-phases-no-neutral", "plug")
#: Where what stays live with the main switch off is drawn: a sheet of its own.
LIVE: Final = "live"
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
    """Wires that lie together, on one sheet of the drawing. `is_live`: all of them stay live with the main switch off."""

    name: str
    text: str
    part: str | None
    by: str
    sheet: str
    is_numbered: bool
    is_live: bool
    wires: tuple[Wire, ...]


@dataclass(frozen=True)
class Build:
    """One build. `uses` has the keys of gate.yaml that it wires, `base` the build of which it is a variant.

    `live` has each end of a wire that stays live with the main switch off.
    """

    name: str
    title: str
    driver: str
    uses: tuple[str, ...]
    devices: Mapping[str, Device]
    cables: Mapping[str, Cable]
    more: Mapping[str, int | list[int | str]]
    live: frozenset[str]
    base: str | None = None

    def wires(self) -> Iterator[Wire]:
        """Yield each wire, in the order of the cables."""
        for cable in self.cables.values():
            yield from cable.wires

    def sheets(self) -> list[str]:
        """Return the sheets of the drawing in their order; of a variant, those that differ."""
        names = dict.fromkeys(cable.sheet for cable in self.cables.values())
        same = None if self.base is None else read(self.base)
        return [name for name in names if same is None or same.drawn(name) != self.drawn(name)]

    def drawn(self, sheet: str) -> list[tuple[Cable, list[str]]]:
        """Return what a sheet shows: its cables, and what each of their wires joins."""
        return [
            (cable, [self.devices[end.device].text for wire in cable.wires for end in (wire.start, wire.end)])
            for cable in self.cables.values()
            if cable.sheet == sheet
        ]


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
    """Return a build.

    Raises ValueError where a wire ends at a pin that is not there, has no colour of IEC 60757, or is the only one of its
    cable that stays live with the main switch off.
    """
    raw = _raw(name)
    terminals = load("builds/board.yaml")["terminals"]
    devices = {key: _device(key, row, terminals) for key, row in raw["devices"].items()}
    wires = {key: _wires(key, row, devices) for key, row in raw["cables"].items()}
    live_ends = live.ends(wire for some in wires.values() for wire in some)
    cables = {key: _cable(key, row, wires[key], live_ends) for key, row in raw["cables"].items()}
    uses = keys(raw["root"])
    return Build(name, raw["title"], raw["driver"], uses, devices, cables, raw["more"], live_ends, raw.get("base"))


def _raw(name: str) -> dict[str, Any]:
    """Return a build as its file has it; a variant with all that it has from its base. `root` is the first base."""
    raw = load(f"builds/{name}.yaml")
    if not raw.get("base"):
        return {**raw, "root": name}
    base, gone = _raw(raw["base"]), set(raw["without"])
    cables = {key: row for key, row in base["cables"].items() if key not in gone}
    for key, row in cables.items():  # a wire that a variant lacks is the last of its cable: the others keep their names
        left = [wire for number, wire in enumerate(row["wires"], start=1) if f"{key}.{number}" not in gone]
        cables[key] = {**row, "wires": left}
    return {**base, **raw, "devices": {**base["devices"], **raw["devices"]}, "cables": {**cables, **raw["cables"]}}


def _device(name: str, row: Mapping[str, Any], terminals: Mapping[str, Any]) -> Device:
    if row.get("board"):
        block = terminals[name]
        labels = block.get("labels", block["pins"])
        labelled = {str(pin): str(label) for pin, label in labels.items()}
        return Device(name, block["text"], labelled, None, "volunteer", row)
    pins_of = header() if row.get("header") else row["pins"]
    labelled = {str(pin): str(pins_of[pin]) if isinstance(pins_of, Mapping) else "" for pin in pins_of}
    return Device(name, row["text"], labelled, row.get("part"), row.get("by", "volunteer"), row)


def _wires(name: str, row: Mapping[str, Any], devices: Mapping[str, Device]) -> tuple[Wire, ...]:
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
    return tuple(
        Wire(name, number, colour, end(str(start)), end(str(stop)))
        for number, (start, colour, stop) in enumerate(row["wires"], start=1)
    )


def _cable(name: str, row: Mapping[str, Any], wires: tuple[Wire, ...], live_ends: frozenset[str]) -> Cable:
    lives = [str(wire.start) in live_ends for wire in wires]
    if any(lives) and not all(lives):
        raise ValueError(
            f"{name}: found wires that stay live with the main switch off and others that do not, wanted two cables"
        )
    return Cable(
        name,
        f"live with Q0 off: {row['text']}" if any(lives) else row["text"],
        row.get("part"),
        row.get("by", "volunteer"),
        LIVE if any(lives) else row["sheet"],
        row.get("numbered", False),
        any(lives),
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

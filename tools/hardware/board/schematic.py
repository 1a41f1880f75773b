"""Draws the gate board as a KiCad schematic, from hardware/builds/board.yaml.

Symbols are our own and are never turned, so that a pin of a symbol at (x, y) lies at (x + dx, y - dy): KiCad's symbols
have y upwards and its sheets downwards. All places are multiples of 1.27 mm, KiCad's grid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from tools.hardware import builds
from tools.hardware.board.symbols import SYMBOLS, Symbol

NAME: Final = "gate-board"
#: Nets that have a symbol instead of a label, and the name of that symbol.
_SUPPLIES: Final = {"3V3": "+3V3", "5V": "+5V", "GND": "GND", "+24V": "+24V"}
_GRID: Final = 1.27
_VALUES: Final = {
    "r1k": "1k",
    "r10k": "10k",
    "r3k3": "3.3k 0.5W",
    "r4k7": "4.7k",
    "diode": "1N4148",
    "bc547": "BC547",
    "tvs": "P6KE33A",
    "pc817c": "PC817C",
    "uln2003a": "ULN2003A",
    "k1": "G5V-2 24VDC",
}


def write(folder: Path) -> None:
    """Write the schematic, its symbols and its project to `folder`."""
    for name, text in files().items():
        (folder / name).write_text(text, "utf-8")


def files() -> dict[str, str]:
    """Return the schematic, its symbols and its project by the names of their files."""
    sheet = Sheet()
    _draw(sheet)
    project = {"meta": {"filename": f"{NAME}.kicad_pro", "version": 3}, "sheets": [[sheet.root, "Root"]]}
    library = '(lib (name "fabgate")(type "KiCad")(uri "${KIPRJMOD}/fabgate.kicad_sym")(options "")(descr ""))'
    return {
        f"{NAME}.kicad_sch": sheet.text(),
        f"{NAME}.kicad_pro": json.dumps(project, indent=2) + "\n",
        "fabgate.kicad_sym": _library(),
        "sym-lib-table": f"(sym_lib_table\n  (version 7)\n  {library}\n)\n",
    }


@dataclass
class Sheet:
    """A sheet that is being drawn. Places are in steps of the grid, y downwards."""

    items: list[str] = field(default_factory=list)
    wires: list[tuple[int, int, int, int]] = field(default_factory=list)
    joints: list[tuple[int, int]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    powers: int = 0
    root: str = str(uuid5(NAMESPACE_URL, "fabgate/gate-board"))

    def _uuid(self) -> str:
        return str(uuid5(NAMESPACE_URL, f"fabgate/gate-board/{len(self.items)}"))

    def place(self, symbol: str, name: str, value: str, x: int, y: int) -> dict[str, tuple[int, int]]:
        """Place a part; return where its pins are."""
        kind = SYMBOLS[symbol]
        self.used.add(symbol)
        pins = "".join(
            f'(pin "{pin.number}" (uuid "{uuid5(NAMESPACE_URL, f"{name}/{pin.number}")}"))' for pin in kind.pins
        )
        self.items.append(
            f'(symbol (lib_id "fabgate:{symbol}") (at {_mm(x)} {_mm(y)} 0) (unit 1) (exclude_from_sim no) (in_bom yes)'
            f' (on_board yes) (dnp no) (uuid "{self._uuid()}")'
            + _property("Reference", name, x + kind.name_at[0], y - kind.name_at[1], hide=name.startswith("#"), at=kind)
            + _property("Value", value, x + kind.value_at[0], y - kind.value_at[1], hide=kind.hides_value, at=kind)
            + "".join(_property(key, "", x, y, hide=True, at=kind) for key in ("Footprint", "Datasheet", "Description"))
            + f'{pins}(instances (project "{NAME}" (path "/{self.root}" (reference "{name}") (unit 1)))))'
        )
        return {pin.number: (x + pin.x, y - pin.y) for pin in kind.pins}

    def power(self, net: str, x: int, y: int) -> None:
        """Place the symbol of a supply at a point."""
        self.powers += 1
        self.place(_SUPPLIES[net], f"#PWR{self.powers:02}", _SUPPLIES[net], x, y)

    def flag(self, x: int, y: int) -> None:
        """Say that power enters here: connectors are passive, and the check asks where power comes from."""
        self.powers += 1
        self.place("PWR_FLAG", f"#FLG{self.powers:02}", "PWR_FLAG", x, y)

    def wire(self, *points: tuple[int, int]) -> None:
        """Draw a wire through points."""
        self.wires += [(*start, *stop) for start, stop in pairwise(points)]

    def joint(self, x: int, y: int) -> None:
        """Join the wires that meet here."""
        self.joints.append((x, y))
        self.items.append(f'(junction (at {_mm(x)} {_mm(y)}) (diameter 0) (color 0 0 0 0) (uuid "{self._uuid()}"))')

    def open(self, x: int, y: int) -> None:
        """Say that a pin stays open."""
        self.items.append(f'(no_connect (at {_mm(x)} {_mm(y)}) (uuid "{self._uuid()}"))')

    def label(self, net: str, x: int, y: int, *, left: bool = False) -> None:
        """Name the net at a point; `left` puts the word on its left."""
        turn, side = (180, "right") if left else (0, "left")
        self.items.append(
            f'(label "{net}" (at {_mm(x)} {_mm(y)} {turn}) (effects (font (size 1.27 1.27)) (justify {side} bottom))'
            f' (uuid "{self._uuid()}"))'
        )

    def text_at(self, words: str, x: int, y: int, size: float = 1.27) -> None:
        """Write words."""
        escaped = words.replace('"', '\\"')
        self.items.append(
            f'(text "{escaped}" (exclude_from_sim no) (at {_mm(x)} {_mm(y)} 0) (effects (font (size {size} {size}))'
            f' (justify left)) (uuid "{self._uuid()}"))'
        )

    def text(self) -> str:
        """Return the schematic as KiCad reads it."""
        symbols = "".join(SYMBOLS[name].text(f"fabgate:{name}") for name in sorted(self.used))
        for x, y, u, v in self._pieces():
            self.items.append(
                f"(wire (pts (xy {_mm(x)} {_mm(y)}) (xy {_mm(u)} {_mm(v)})) (stroke (width 0) (type default))"
                f' (uuid "{self._uuid()}"))'
            )
        return (
            f'(kicad_sch (version 20250114) (generator "fabgate") (generator_version "9.0") (uuid "{self.root}")'
            ' (paper "A4") (title_block (title "Gate board A3") (comment 1 "hardware/builds/board.yaml"))\n'
            f"(lib_symbols\n{symbols})\n" + "\n".join(self.items) + "\n"
            '(sheet_instances (path "/" (page "1")))\n(embedded_fonts no))\n'
        )

    def _pieces(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the wires, cut where others join them: KiCad joins wires at their ends only."""
        for x, y, u, v in self.wires:
            cuts = [(a, b) for a, b in self.joints if min(x, u) <= a <= max(x, u) and min(y, v) <= b <= max(y, v)]
            points = sorted({(x, y), (u, v), *cuts})
            yield from ((*start, *stop) for start, stop in pairwise(points))


def _mm(steps: float) -> str:
    return f"{round(steps * _GRID, 4):g}"


def _property(key: str, value: str, x: float, y: float, *, hide: bool, at: Symbol) -> str:
    return (
        f'(property "{key}" "{value}" (at {_mm(x)} {_mm(y)} 0) (effects (font (size 1.27 1.27))'
        f" (justify {at.justify}){' (hide yes)' if hide else ''}))"
    )


def _library() -> str:
    body = "".join(symbol.text(name) for name, symbol in sorted(SYMBOLS.items()))
    return f'(kicad_symbol_lib (version 20241209) (generator "fabgate") (generator_version "9.0")\n{body})\n'


def _draw(sheet: Sheet) -> None:
    table = builds.load("builds/board.yaml")
    _pi_side(sheet, table["terminals"]["X1"]["pins"])
    _driver(sheet, table["parts"])
    _buzzer(sheet, table["parts"])
    _panel_side(sheet, table["terminals"]["X3"])
    _field_side(sheet, table["terminals"]["X2"])
    sheet.text_at("Gate board A3", 190, 136, 3)
    sheet.text_at("fabgate, hardware/builds/board.yaml", 190, 140)
    for number, channel in table["inputs"]["nets"].items():
        column, row = divmod(number - 1, 3)
        _input(sheet, number, channel, table["inputs"]["parts"], 22 + column * 92, 78 + row * 27)


def _pi_side(sheet: Sheet, nets: Mapping[int, str]) -> None:
    """Draw the Pi's header and X1, pin beside pin: cable W2 of the standard build."""
    sheet.text_at("Raspberry Pi, cable W2, terminals X1", 14, 14, 1.6)
    wires = {wire.end.pin: wire.start.pin for wire in builds.read("standard").cables["W2"].wires}
    pi = sheet.place("PI", "A1", "Raspberry Pi", 18, 36)
    x1 = sheet.place("X1", "X1", "the Pi's side", 50, 36)
    for pin, net in nets.items():
        start, stop = pi[wires[str(pin)]], x1[str(pin)]
        sheet.wire(start, stop)
        if net not in _SUPPLIES:
            sheet.label(net, start[0] + 4, start[1])
    # The three supplies enter the board here; their symbols hang on the wires.
    for net, dx, far in (("3V3", 4, 22), ("5V", 10, 22), ("GND", 4, 54)):
        x, y = x1[next(str(number) for number, name in nets.items() if name == net)]
        sheet.wire((x - dx, y), (x - dx, far))
        sheet.joint(x - dx, y)
        sheet.power(net, x - dx, far)


def _driver(sheet: Sheet, parts: Mapping[str, Any]) -> None:
    sheet.text_at("Relay driver", 60, 14, 1.6)
    uln = sheet.place("ULN2003A", "U1", _VALUES[parts["U1"]["part"]], 100, 36)
    level = uln["1"][1]
    r1 = sheet.place("RH", "R1", _VALUES[parts["R1"]["part"]], 76, level)
    r2 = sheet.place("RV", "R2", _VALUES[parts["R2"]["part"]], 68, level + 8)
    sheet.wire(r1["2"], uln["1"])
    sheet.wire((64, level), r1["1"])
    sheet.label("OUT", 64, level, left=True)
    sheet.wire((68, level), r2["1"])
    sheet.joint(68, level)
    sheet.power("GND", *r2["2"])
    sheet.wire(uln["8"], (uln["8"][0] - 2, uln["8"][1]), (uln["8"][0] - 2, uln["8"][1] + 4))
    sheet.power("GND", uln["8"][0] - 2, uln["8"][1] + 4)
    # The relay: plus above its coil, the driver below. COM has the plus too, for the diodes in the driver.
    k1 = sheet.place("RELAY", "K1", _VALUES["k1"], 128, 34)
    for name, pins in (("U1", uln), ("K1", k1)):  # channels of the driver, and the relay's second pole
        for pin in parts[name]["free"]:
            sheet.open(*pins[str(pin)])
    plus = (k1["1"][0], k1["1"][1] - 4)
    sheet.wire(k1["1"], plus)
    sheet.power("+24V", *plus)
    x, y = uln["16"]
    sheet.wire((x, y), (x + 12, y), (x + 12, k1["16"][1] + 2), (k1["16"][0], k1["16"][1] + 2), k1["16"])
    sheet.label("K1-A2", x + 1, y)
    x, y = uln["9"]
    sheet.wire((x, y), (x + 4, y))
    sheet.power("+24V", x + 4, y)
    for pin, net, dy in (("4", "K1-COM", 3), ("6", "K1-NC", -6), ("8", "K1-NO", -3)):
        x, y = k1[pin]
        sheet.wire((x, y), (x, y + dy), (x + 2, y + dy))
        sheet.label(net, x + 2, y + dy)


def _buzzer(sheet: Sheet, parts: Mapping[str, Any]) -> None:
    """Draw the buzzer's own transistor, in the row of the inputs: from the Pi's line on the left to X3 on the right."""
    x, y = 114, 132
    sheet.text_at("panel.buzzer_pin", x - 8, y - 6, 1.6)
    sheet.text_at("not on U1: its diodes lead to +24 V", x + 13, y - 6)
    r3 = sheet.place("RH", "R3", _VALUES[parts["R3"]["part"]], x + 16, y)
    r4 = sheet.place("RV", "R4", _VALUES[parts["R4"]["part"]], x + 26, y + 6)
    t1 = sheet.place("NPN", "T1", _VALUES[parts["T1"]["part"]], x + 38, y)
    d2 = sheet.place("D", "D2", _VALUES[parts["D2"]["part"]], x + 56, y - 2)
    sheet.wire((x + 6, y), r3["1"])
    sheet.label("BUZZER", x + 6, y, left=True)
    sheet.wire(r3["2"], t1["2"])
    sheet.wire((x + 26, y), r4["1"])
    sheet.joint(x + 26, y)
    sheet.power("GND", *r4["2"])
    sheet.power("GND", *t1["3"])
    low, aside = y + 6, x + 50
    sheet.wire(t1["1"], (aside, t1["1"][1]), (aside, low), (d2["2"][0], low), (x + 62, low))
    sheet.wire(d2["2"], (d2["2"][0], low))
    sheet.joint(d2["2"][0], low)
    sheet.label("BUZZER-", x + 62, low)
    sheet.power("5V", *d2["1"])


def _panel_side(sheet: Sheet, block: Mapping[str, Any]) -> None:
    sheet.text_at("Terminals X3: panel", 154, 14, 1.6)
    pins = sheet.place("X3", "X3", "panel", 172, 34)
    for net, dx, far in (("3V3", 4, pins["1"][1] - 5), ("5V", 10, pins["1"][1] - 5), ("GND", 7, pins["7"][1] + 6)):
        places = [pins[str(pin)] for pin, name in block["pins"].items() if name == net]
        x, rows = places[0][0] - dx, [y for _, y in places]
        sheet.wire((x, min(*rows, far)), (x, max(*rows, far)))
        for place, y in places:
            sheet.wire((place, y), (x, y))
            sheet.joint(x, y)
        sheet.power(net, x, far)
    x, y = pins["4"]
    sheet.wire((x, y), (x - 12, y))
    sheet.label(block["pins"][4], x - 12, y, left=True)
    _words(sheet, block["labels"], pins)


def _field_side(sheet: Sheet, block: Mapping[str, Any]) -> None:
    sheet.text_at("Terminals X2: 24 V side", 190, 14, 1.6)
    pins = sheet.place("X2", "X2", "24 V side", 212, 42)
    _words(sheet, block["labels"], pins)
    left = pins["1"][0]
    rails = {"+24V": (left - 13, pins["1"][1] - 4), "GND": (left - 16, pins["18"][1] + 4)}
    for pin, net in block["pins"].items():
        x, y = pins[str(pin)]
        if net in rails:
            sheet.wire((x, y), (rails[net][0], y))
        else:
            sheet.wire((x, y), (x - 2, y))
            sheet.label(net, x - 2, y, left=True)
    for net, (x, far) in rails.items():
        rows = [pins[str(pin)][1] for pin, name in block["pins"].items() if name == net]
        sheet.wire((x, min(*rows, far)), (x, max(*rows, far)))
        for y in rows:
            sheet.joint(x, y)
        sheet.power(net, x, far)
    # The suppressor, right behind the terminals; the flag says that power enters here.
    x = left - 28
    tvs = sheet.place("TVS", "D1", _VALUES["tvs"], x, 58)
    sheet.wire((x, 50), tvs["1"])
    sheet.power("+24V", x, 50)
    sheet.power("GND", *tvs["2"])
    sheet.wire((x, 52), (x - 6, 52))
    sheet.joint(x, 52)
    sheet.flag(x - 6, 52)
    sheet.text_at("diamond: power", x - 24, 51)
    sheet.text_at("enters here", x - 24, 53)


def _words(sheet: Sheet, labels: Mapping[int, str], pins: Mapping[str, tuple[int, int]]) -> None:
    for pin, label in labels.items():
        x, y = pins[str(pin)]
        sheet.text_at(label, x + 11, y)


def _input(sheet: Sheet, number: int, channel: Mapping[str, str], parts: Mapping[str, Any], x: int, y: int) -> None:
    """Draw one input: the loop's return on the left, the Pi's line on the right."""
    net = channel["net"]
    sheet.text_at(f"{channel['for']}", x - 8, y - 6, 1.6)
    r = sheet.place("RH", f"R1{number}", _VALUES[parts["R1"]["part"]], x + 16, y)
    opto = sheet.place("PC817", f"U1{number}", _VALUES[parts["U1"]["part"]], x + 46, y + 2)
    d = sheet.place("D", f"D1{number}", _VALUES[parts["D1"]["part"]], x + 28, y + 6)
    pull = sheet.place("RV", f"R2{number}", _VALUES[parts["R2"]["part"]], x + 60, y - 6)
    sheet.wire((x + 6, y), r["1"])
    sheet.label(f"{net}-", x + 6, y, left=True)
    sheet.wire(r["2"], opto["1"])
    sheet.wire((x + 28, y), d["1"])
    sheet.joint(x + 28, y)
    low = y + 12
    sheet.wire(d["2"], (x + 28, low))
    sheet.wire(opto["2"], (opto["2"][0] - 2, opto["2"][1]), (opto["2"][0] - 2, low), (x + 28, low))
    sheet.power("GND", x + 28, low)
    sheet.wire(opto["4"], (x + 68, y))
    sheet.label(net, x + 68, y)
    sheet.wire(pull["2"], (x + 60, y))
    sheet.joint(x + 60, y)
    sheet.power("3V3", *pull["1"])
    sheet.wire(opto["3"], (opto["3"][0] + 2, opto["3"][1]), (opto["3"][0] + 2, low))
    sheet.power("GND", opto["3"][0] + 2, low)

"""What do the parts look like on the schematic? Symbols of our own, in steps of KiCad's grid, y upwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tools.hardware import builds

_GRID: Final = 1.27
_STROKE: Final = "(stroke (width 0.254) (type default))"


@dataclass(frozen=True)
class Pin:
    """A pin: where a wire ends, where the body is seen from there (degrees), and what flows (KiCad's words)."""

    number: str
    x: int
    y: int
    turn: int
    kind: str = "passive"
    name: str = "~"
    length: int = 2


@dataclass(frozen=True)
class Symbol:
    """A symbol. Reference and value stand at `name_at` and `value_at`."""

    pins: tuple[Pin, ...]
    shapes: str
    name_at: tuple[float, float] = (0, 3)
    value_at: tuple[float, float] = (0, -3)
    shows_names: bool = False
    shows_numbers: bool = False
    hides_value: bool = False
    is_power: bool = False
    justify: str = "left"

    def text(self, name: str) -> str:
        """Return the symbol as KiCad reads it."""
        short = name.rpartition(":")[2]
        pins = "".join(
            f"(pin {pin.kind} line (at {_mm(pin.x)} {_mm(pin.y)} {pin.turn}) (length {_mm(pin.length)})"
            f' (name "{pin.name}" (effects (font (size 1.27 1.27)))) (number "{pin.number}" (effects (font (size 1.27 1.27)))))'
            for pin in self.pins
        )
        words = "".join(
            f'(property "{key}" "{value}" (at 0 0 0) (effects (font (size 1.27 1.27))(hide yes)))'
            for key, value in (
                ("Reference", "#PWR" if self.is_power else "U"),
                ("Value", short),
                ("Footprint", ""),
                ("Datasheet", ""),
                ("Description", ""),
            )
        )
        return (
            f'(symbol "{name}" {"(power)" if self.is_power else ""}'
            f" (pin_numbers (hide {'no' if self.shows_numbers else 'yes'}))"
            f" (pin_names (offset 0.508) (hide {'no' if self.shows_names else 'yes'})) (exclude_from_sim no) (in_bom yes) (on_board yes){words}"
            f'(symbol "{short}_0_1" {self.shapes})(symbol "{short}_1_1" {pins})(embedded_fonts no))\n'
        )


def _mm(steps: float) -> str:
    return f"{round(steps * _GRID, 4):g}"


def _line(*points: tuple[float, float], fill: str = "none") -> str:
    body = "".join(f"(xy {_mm(x)} {_mm(y)})" for x, y in points)
    return f"(polyline (pts {body}) {_STROKE} (fill (type {fill})))"


def _box(x: float, y: float, u: float, v: float, fill: str = "none") -> str:
    return f"(rectangle (start {_mm(x)} {_mm(y)}) (end {_mm(u)} {_mm(v)}) {_STROKE} (fill (type {fill})))"


def _connector(labels: dict[str, str], kinds: dict[str, str] | None = None, *, right: bool = False) -> Symbol:
    """Return a box with pins on its left or right, two steps apart, the first at the top."""
    top = len(labels) - 1
    turn, x = (180, 6) if right else (0, -6)
    pins = tuple(
        Pin(number, x, top - 2 * row, turn, (kinds or {}).get(number, "passive"), label)
        for row, (number, label) in enumerate(labels.items())
    )
    return Symbol(
        pins,
        _box(-4, top + 2, 4, -top - 2, "background"),
        name_at=(-4, top + 3),
        value_at=(-4, -top - 3.5),
        shows_names=True,
        shows_numbers=True,
    )


def _diode(extra: str) -> Symbol:
    shapes = _line((-1, -1), (1, -1), (0, 1), (-1, -1)) + extra + _line((0, 2), (0, -2))
    return Symbol((Pin("1", 0, 4, 270), Pin("2", 0, -4, 90)), shapes, (2, 1), (2, -1))


def _supply(up: bool) -> Symbol:
    if up:
        return Symbol(
            (Pin("1", 0, 0, 90, "power_in", "~", 0),), _line((0, 0), (0, 1.5)) + _line((-0.8, 1.5), (0.8, 1.5)),
            value_at=(0, 2.5), is_power=True, justify="bottom",
        )  # fmt: skip
    shapes = _line((0, 0), (0, -1)) + _line((-1, -1), (1, -1), (0, -2), (-1, -1))
    return Symbol((Pin("1", 0, 0, 270, "power_in", "~", 0),), shapes, hides_value=True, is_power=True)


def _pi() -> Symbol:
    """Return the Pi's header: the pins of cable W2, as pins.yaml names them, in the order of X1."""
    kinds = {"3V3": "power_out", "5V": "power_out", "GND": "power_out"}
    directions = {str(row["header"]): row["direction"] for row in (*builds.pins()["pins"], *builds.pins()["panels"])}
    words = {"in": "input", "out": "output"}
    wires = sorted(builds.read("standard").cables["W2"].wires, key=lambda wire: int(wire.end.pin))
    labels = {wire.start.pin: wire.start.label for wire in wires}
    pins = {pin: kinds.get(label) or words[directions[pin]] for pin, label in labels.items()}
    return _connector(labels, pins, right=True)


def _uln2003a() -> Symbol:
    left = [
        *(Pin(str(n), -8, 9 - 2 * n, 0, "input", f"{n}B") for n in range(1, 8)),
        Pin("8", -8, -7, 0, "power_in", "E"),
    ]
    right = [Pin(str(17 - n), 8, 9 - 2 * n, 180, "open_collector", f"{n}C") for n in range(1, 8)]
    return Symbol(
        (*left, *right, Pin("9", 8, -7, 180, "passive", "COM")),
        _box(-6, 9, 6, -9, "background"),
        name_at=(-6, 10),
        value_at=(-6, -10.5),
        shows_names=True,
        shows_numbers=True,
    )


def _npn() -> Symbol:
    """Return an NPN transistor: collector above, base on the left, emitter below."""
    shapes = _line((-1, 2), (-1, -2)) + _line((-1, 0.8), (1, 2)) + _line((-1, -0.8), (1, -2))
    arrow = _line((1, -2), (0, -1.8), (0.5, -1.1), (1, -2), fill="outline")
    pins = (Pin("1", 1, 4, 270), Pin("2", -3, 0, 0), Pin("3", 1, -4, 90))
    return Symbol(pins, shapes + arrow, (2, 1), (2, -1), shows_numbers=True)


def _pc817() -> Symbol:
    led = (
        _line((-4, 2), (-2, 2), (-2, -2), (-4, -2))
        + _line((-2.8, 0.7), (-1.2, 0.7), (-2, -0.7), (-2.8, 0.7))
        + _line((-2.8, -0.7), (-1.2, -0.7))
    )
    light = _line((-0.8, 0.6), (0.6, 0.2)) + _line((-0.8, -0.2), (0.6, -0.6))
    transistor = (
        _line((1.4, 1.4), (1.4, -1.4)) + _line((1.4, 0.6), (3, 2), (4, 2)) + _line((1.4, -0.6), (3, -2), (4, -2))
    )
    arrow = _line((3, -2), (2.1, -1.7), (2.6, -1.1), (3, -2), fill="outline")
    pins = (
        Pin("1", -6, 2, 0),
        Pin("2", -6, -2, 0),
        Pin("3", 6, -2, 180, "passive"),
        Pin("4", 6, 2, 180, "open_collector"),
    )
    return Symbol(
        pins,
        _box(-4, 4, 4, -4, "background") + led + light + transistor + arrow,
        (-4, 5),
        (-4, -5.5),
        shows_numbers=True,
    )


def _relay() -> Symbol:
    """Return a relay with a coil and two poles, each with its common below, its opening and its closing contact above."""
    coil = _box(-6, 2, -2, -2, "background") + _line((-6, -1), (-2, 1)) + _line((-2, 0), (13, 0))
    pins = [Pin("1", -4, 6, 270, length=4), Pin("16", -4, -6, 90, length=4)]
    contacts = ""
    for x, common, opening, closing in ((2, "4", "6", "8"), (12, "13", "11", "9")):
        contacts += (
            _line((x + 2, -4), (x + 2, -3), (x + 0.2, 2.6)) + _line((x, 4), (x, 2.4)) + _line((x + 4, 4), (x + 4, 2.4))
        )
        pins += [Pin(common, x + 2, -6, 90), Pin(opening, x, 6, 270), Pin(closing, x + 4, 6, 270)]
    return Symbol(tuple(pins), coil + contacts, (-4, -10), (-4, -12), shows_numbers=True)


def _blocks() -> dict[str, Symbol]:
    table = builds.load("builds/board.yaml")["terminals"]
    return {name: _connector({str(pin): str(pin) for pin in block["pins"]}) for name, block in table.items()}


SYMBOLS: Final[dict[str, Symbol]] = {
    "RH": Symbol((Pin("1", -4, 0, 0), Pin("2", 4, 0, 180)), _box(-2, 0.8, 2, -0.8), (-2, 2), (-2, -2)),
    "RV": Symbol((Pin("1", 0, 4, 270), Pin("2", 0, -4, 90)), _box(-0.8, 2, 0.8, -2), (1.6, 1), (1.6, -1)),
    "D": _diode(_line((-1, 1), (1, 1))),
    "TVS": _diode(_line((-1.5, 0.5), (-1, 1), (1, 1), (1.5, 1.5))),
    "NPN": _npn(),
    "PC817": _pc817(),
    "ULN2003A": _uln2003a(),
    "RELAY": _relay(),
    "PI": _pi(),
    "+3V3": _supply(up=True),
    "+5V": _supply(up=True),
    "+24V": _supply(up=True),
    "GND": _supply(up=False),
    "PWR_FLAG": Symbol(
        (Pin("1", 0, 0, 90, "power_out", "~", 0),),
        _line((0, 0), (0, 1), (-1, 2), (0, 3), (1, 2), (0, 1)),
        is_power=True,
        hides_value=True,
    ),
    **_blocks(),
}

"""How does current flow in the power box? Its circuit diagram, made of the wires of a build; symbols as in IEC 60617.

Each column is one way of the current, from its source at the top: wires with their names, terminals, and what opens or closes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tools.hardware import live
from tools.hardware.builds import Build

_STEP, _WIDE, _TOP = 66, 96, 96
_INK, _SOFT, _LIVE = "#111827", "#4b5563", "#c2410c"
#: What is closed between two pins that are no pole of mains, and how it is drawn.
_OTHERS: Final = {
    ("F2.1", "F2.2"): "fuse",
    ("S0.11", "S0.12"): "opening",
    ("S0.21", "S0.22"): "opening",
    ("S3.1", "S3.2"): "opening",
    ("KM1.21", "KM1.22"): "opening",
    ("X2.5", "X2.6"): "K1",
    ("KM1.A1", "KM1.A2"): "coil",
    ("E1.1", "E1.2"): "bar",
    ("X2.8", "0 V"): "A3 input",
    ("X2.14", "0 V"): "A3 input",
    ("X2.16", "0 V"): "A3 input",
}
_KINDS: Final = {"Q0": "switch", "Q1": "breaker", "F1": "breaker", "KM1": "contactor"}
_HOW_TO_READ: Final = (
    "Drawn without power. Orange stays live with Q0 off. Names are those of wires.csv; A3 is the gate board."
)
#: Where the ways of the 24 V side begin and end, and what each does.
_CONTROL: Final = (
    ("G1.plus", "X5.2", "+24 V"),
    ("G1.minus", "E1.3", "0 V"),
    ("X5.2", "X5.10", "coil"),
    ("X5.2", "0 V", "mirror contact"),
    ("X2.13", "0 V", "emergency stop"),
    ("X2.15", "0 V", "run-sense"),
)


def ways(build: Build) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each column: what it is, and each pin of its way with the wire that leads to it, or the kind of what closes."""
    beside = _beside(build)
    mains = [pin for pin in build.devices["X6"].pins if pin != "PE"]
    machine = [pin for pin in build.devices["M1"].pins if pin != "PE"]
    supply = [pin for pin in build.devices["G1"].pins if pin not in ("PE", "plus", "minus")]
    found = [
        (f"machine, {start}", _way(beside, f"X6.{start}", f"M1.{end}"))
        for start, end in zip(mains, machine, strict=True)
    ]
    feeds = [end.pin for end in (w.start for w in build.wires()) if end.device == "X6" and end.pin != "PE"]
    twice = dict.fromkeys(pin for pin in feeds if feeds.count(pin) > 1)
    found += [
        (f"G1, {start}", _way(beside, f"X6.{start}", f"G1.{end}")) for start, end in zip(twice, supply, strict=True)
    ]
    found.append(("protective earth", _way(beside, "X6.PE", "M1.PE")))
    return found + [(what, _way(beside, start, end)) for start, end, what in _CONTROL]


def _beside(build: Build) -> dict[str, dict[str, str]]:
    beside: defaultdict[str, dict[str, str]] = defaultdict(dict)
    pairs = [(str(wire.start), str(wire.end), wire.name) for wire in build.wires()]
    for device, kind in _KINDS.items():
        pairs += [(f"{device}.{one}", f"{device}.{two}", kind) for one, two in live.poles(build.devices[device].pins)]
    for one, two, name in (*pairs, *((*pair, kind) for pair, kind in _OTHERS.items())):
        beside[one][two] = name
        beside[two][one] = name
    return beside


def _way(beside: dict[str, dict[str, str]], start: str, end: str) -> list[tuple[str, str]]:
    """Return the shortest way between two pins. Raises ValueError where there is none."""
    came: dict[str, str] = {start: ""}
    left = deque([start])
    while left and end not in came:
        here = left.popleft()
        for there in beside[here]:
            if there not in came:
                came[there] = here
                left.append(there)
    if end not in came:
        raise ValueError(f"circuit: found no way from {start} to {end}, wanted one")
    back = [end]
    while came[back[-1]]:
        back.append(came[back[-1]])
    pins = back[::-1]
    return [(start, ""), *((there, beside[here][there]) for here, there in pairwise(pins))]


def picture(build: Build) -> str:
    """Return the diagram as SVG."""
    columns = ways(build)
    longest = max(len(way) for _, way in columns)
    wide, high = _WIDE * len(columns) + 130, _TOP + _STEP * longest - 10
    items = [
        _text(20, 26, f"{build.title}: circuit diagram of the power box", 15, bold=True, anchor="start"),
        _text(20, 46, _HOW_TO_READ, 11, colour=_SOFT, anchor="start"),
    ]
    for number, (what, way) in enumerate(columns):
        items += _column(build, 90 + number * _WIDE, what, way)
    items += _links(columns)
    body = "\n".join(items)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="DejaVu Sans, Arial, sans-serif">\n'
        f'<title>{build.title}: circuit diagram</title>\n<rect width="{wide}" height="{high}" fill="white"/>\n{body}\n</svg>\n'
    )


def _column(build: Build, x: int, what: str, way: list[tuple[str, str]]) -> Iterator[str]:
    yield _text(x, _TOP - 22, what, 10, colour=_SOFT)
    ink = {pin: _LIVE if pin in build.live else _INK for pin, _ in way}
    for row, ((above, _), (pin, name)) in enumerate(pairwise(way), start=1):
        y = _TOP + row * _STEP
        if name.startswith("W"):
            yield _line(x, y - _STEP, x, y, ink[pin])
            yield _text(x + 7, y - _STEP / 2 + 3.5, name, 9, colour=_SOFT, anchor="start")
        else:
            yield _line(x, y - _STEP, x, y - _STEP + 18, ink[above])
            yield _line(x, y - 18, x, y, ink[pin])
            yield from _symbol(x, y - _STEP / 2, name, above.partition(".")[0])
    for row, (pin, _) in enumerate(way):
        y = _TOP + row * _STEP
        device, _, number = pin.partition(".")
        is_terminal = device[0] in "XMGE0" or device == "M1"
        if is_terminal:
            yield f'<circle cx="{x}" cy="{y}" r="3.2" fill="white" stroke="{ink[pin]}" stroke-width="1.6"/>'
        yield _text(x - 8, y + 3.5, pin if is_terminal else number, 9.5, colour=ink[pin], anchor="end")


def _symbol(x: int, y: float, kind: str, device: str) -> Iterator[str]:
    """Draw what is between two pins, 30 high around its middle, and its name on the right where it has no poles."""
    top, low = y - 15, y + 15
    if kind in ("coil", "A3 input", "fuse"):
        half = 7 if kind == "fuse" else 15
        yield _line(x, top, x, low)
        yield f'<rect x="{x - half}" y="{y - 11:g}" width="{2 * half}" height="22" fill="white" stroke="{_INK}" stroke-width="1.6"/>'
        if kind == "fuse":
            yield _line(x, y - 11, x, y + 11)
    elif kind == "bar":
        yield f'<rect x="{x - 15}" y="{y - 3:g}" width="30" height="6" fill="{_INK}"/>'
        yield _line(x, top, x, low)
    elif kind == "opening":  # the blade lies at its fixed contact
        yield _line(x, top, x + 12, top)
        yield _line(x, low, x + 12, top - 5)
        if device == "S0":  # a mushroom on the left
            yield _line(x - 16, y, x + 5, y, _SOFT, dashed=True)
            yield f'<path d="M {x - 16} {y - 7:g} A 7 7 0 0 0 {x - 16} {y + 7:g} Z" fill="white" stroke="{_INK}" stroke-width="1.6"/>'
    else:
        yield _line(x, low, x - 12, top + 3)
    if kind == "breaker":
        yield _line(x - 4, top - 4, x + 4, top + 4)
        yield _line(x - 4, top + 4, x + 4, top - 4)
    elif kind == "switch":
        yield _line(x - 5, top - 5, x + 5, top - 5)  # a disconnector's bar, and below it the circle of a load switch
        yield f'<circle cx="{x}" cy="{top:g}" r="3" fill="white" stroke="{_INK}" stroke-width="1.6"/>'
    elif kind == "contactor":
        yield f'<path d="M {x} {top - 7:g} A 4 4 0 0 1 {x} {top + 1:g}" fill="none" stroke="{_INK}" stroke-width="1.6"/>'
    if kind not in _KINDS.values():
        shown = {"K1": "K1", "A3 input": "A3", "coil": f"{device}, suppressor"}.get(kind, device)
        yield _text(x + 19, y + 3.5, shown, 10, bold=True, anchor="start")


def _links(columns: list[tuple[str, list[tuple[str, str]]]]) -> Iterator[str]:
    """Join the poles of one device by a dashed line, and write its name on the left."""
    places: defaultdict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for number, (_, way) in enumerate(columns):
        for row, (pin, kind) in enumerate(way):
            if kind in _KINDS.values():
                places[(pin.partition(".")[0], kind)].append((90 + number * _WIDE, _TOP + row * _STEP - _STEP / 2))
    for (name, _), poles in places.items():
        (left, y), (right, _) = poles[0], poles[-1]
        yield _line(left - 7, y, right - 7, y, _SOFT, dashed=True)
        yield _text(left - 24, y + 3.5, name, 10, bold=True, anchor="end")


def _line(x: float, y: float, u: float, v: float, colour: str = _INK, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<line x1="{x:g}" y1="{y:g}" x2="{u:g}" y2="{v:g}" stroke="{colour}" stroke-width="{1 if dashed else 1.6}"{dash}/>'


def _text(
    x: float, y: float, words: str, size: float, *, colour: str = _INK, bold: bool = False, anchor: str = "middle"
) -> str:
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}"{weight} text-anchor="{anchor}" fill="{colour}">{words}</text>'
    )

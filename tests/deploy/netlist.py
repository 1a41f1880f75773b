"""The netlist of a build, searched: wires, nets of the gate board, contacts that are closed, and what lies next to what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations, pairwise

from tools.hardware import builds
from tools.hardware.board import layout

POWERED = [name for name in builds.NAMES if "X6" in builds.read(name).devices]
WIRED = [name for name in builds.NAMES if "X2" in builds.read(name).devices]
#: Main poles as IEC 60947-1 (Annex L) numbers them: what enters at 1, 3, 5 and 7 leaves at 2, 4, 6 and 8.
MAIN = ((1, 2), (3, 4), (5, 6), (7, 8))
S0 = {("S0.11", "S0.12"), ("S0.21", "S0.22")}
MIRROR = {("KM1.21", "KM1.22")}
BUTTONS = {("S1.1", "S1.2"), ("S2.1", "S2.2"), ("S3.1", "S3.2")}
K1 = {("K1.4", "K1.8")}
K1_OFF = {("K1.4", "K1.6")}
F2 = {("F2.1", "F2.2")}
#: The pins of 24 V of each device whose pins may be neighbours.
BLOCKS = {
    "S0": ("11", "12", "21", "22"),
    "KM1": ("A1", "A2", "21", "22"),
    "F2": ("1", "2"),
    "G1": ("plus", "minus"),
    "S3": ("1", "2"),
}
Contacts = Iterable[tuple[str, str]]


def poles(*devices: str) -> Contacts:
    return {(f"{device}.{one}", f"{device}.{two}") for device in devices for one, two in MAIN}


def reached(build: builds.Build, start: Iterable[str], closed: Contacts = ()) -> set[str]:
    """Return each pin that is connected with a pin of `start` while these contacts are closed."""
    beside = defaultdict(set)
    pairs = [(str(wire.start), str(wire.end)) for wire in build.wires()]
    if "X2" in build.devices:
        pairs += [pair for ends in layout.nets(build).values() for pair in pairwise(ends)]
    for one, two in (*pairs, *closed):
        beside[one].add(two)
        beside[two].add(one)
    found, left = set(start), list(start)
    while left:
        for pin in beside[left.pop()] - found:
            found.add(pin)
            left.append(pin)
    return found


def fed(build: builds.Build) -> list[str]:
    return [f"X6.{pin}" for pin in build.devices["X6"].pins if pin != "PE"]


def of(device: str, pins: Iterable[str]) -> set[str]:
    return {pin for pin in pins if pin.startswith(f"{device}.")}


def touching(count: int) -> set[frozenset[int]]:
    """Return which cores of a round cable touch: up to four all do, of seven one is in the middle of the others.

    Makers put core 1 or the last one in the middle: either may touch all.
    """
    cores = range(1, count + 1)
    if count <= 4:
        return {frozenset(pair) for pair in combinations(cores, 2)}
    found = set()
    for middle in (1, count):
        ring = [core for core in cores if core != middle]
        found |= {frozenset(pair) for pair in (*pairwise(ring), (ring[-1], ring[0]))}
        found |= {frozenset((middle, core)) for core in ring}
    return found


def terminal_neighbours(build: builds.Build) -> set[tuple[str, str]]:
    """Return each two neighbours of a strip, both ways round."""
    strips = [build.devices[strip] for strip in ("X2", "X5") if strip in build.devices]
    found = {(f"{strip.name}.{one}", f"{strip.name}.{two}") for strip in strips for one, two in pairwise(strip.pins)}
    return found | {(two, one) for one, two in found}


def core_neighbours(build: builds.Build) -> set[tuple[str, str]]:
    """Return where each two cores that touch begin, both ways round, of all cables with numbered cores."""
    found = set()
    for cable in (cable for cable in build.cables.values() if cable.is_numbered):
        begins = {wire.number: str(wire.start) for wire in cable.wires}
        pairs = touching(int(cable.text.partition(" \u00d7 ")[0].rpartition(" ")[2]))
        found |= {(begins[one], begins[two]) for one, two in map(tuple, pairs) if {one, two} <= begins.keys()}
    return found | {(two, one) for one, two in found}


def block_neighbours(build: builds.Build) -> set[tuple[str, str]]:
    """Return each two pins of 24 V that belong to one device of the power box or the machine, both ways round.

    How a block of contacts is turned, and where a maker has put a coil's pins, is not drawn: any two may be neighbours.
    """
    found: set[tuple[str, str]] = set()
    for name, pins in BLOCKS.items():
        found |= {(f"{name}.{one}", f"{name}.{two}") for one, two in combinations(pins, 2)}
    assert all(pin in build.devices[name].pins for name, pins in BLOCKS.items() for pin in pins)
    return found | {(two, one) for one, two in found}

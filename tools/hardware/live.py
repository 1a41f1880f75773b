"""Which conductors stay live with the main switch off? Those that are reached from the terminals of mains without passing it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tools.hardware.builds import Build, Wire

_MAINS, _SWITCH = "X6", "Q0"
#: What may be closed: switches and circuit breakers (Q, F) and contactors (KM), by the letters of IEC 81346-2.
_CLOSES: Final = re.compile(r"(?:Q|F|KM)\d+")


def ends(wires: Iterable[Wire]) -> frozenset[str]:
    """Return each end of these wires that is live while the main switch alone is off. N is live, protective earth is not."""
    beside: defaultdict[str, set[str]] = defaultdict(set)
    devices: defaultdict[str, set[str]] = defaultdict(set)
    for wire in wires:
        beside[str(wire.start)].add(str(wire.end))
        beside[str(wire.end)].add(str(wire.start))
        for end in (wire.start, wire.end):
            devices[end.device].add(end.pin)
    for device, pins in devices.items():
        if _CLOSES.fullmatch(device) and device != _SWITCH:
            for one, two in poles(pins):
                beside[f"{device}.{one}"].add(f"{device}.{two}")
                beside[f"{device}.{two}"].add(f"{device}.{one}")
    found = {f"{_MAINS}.{pin}" for pin in devices[_MAINS] - {"PE"}}
    left = list(found)
    while left:
        fresh = beside[left.pop()] - found
        found |= fresh
        left += fresh
    return frozenset(found)


def poles(pins: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the main poles: what enters at 1, 3, 5 or 7 leaves at the next number (IEC 60947-1, Annex L)."""
    yield from ((pin, str(int(pin) + 1)) for pin in pins if len(pin) == 1 and pin in "1357")


def devices(build: Build) -> list[str]:
    """Return what stays live in a build: a device by its name where all of it does, otherwise each of its pins."""
    found = []
    for device in build.devices.values():
        pins = [pin for pin in device.pins if pin != "PE"]
        lives = [f"{device.name}.{pin}" for pin in pins if f"{device.name}.{pin}" in build.live]
        found += [device.name] if len(lives) == len(pins) > 0 else lives
    return found


def cables(build: Build) -> list[str]:
    """Return the names of the cables that stay live in a build."""
    return [cable.name for cable in build.cables.values() if cable.is_live]

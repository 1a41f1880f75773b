"""Everything that touches hardware: one file for each device, one small contract for each kind.

A driver is a plain object with a few blocking methods. It knows its contract and nothing else of fabgate. The gate owns
the thread that calls it, and finds every driver by its entry point (``fabgate.readers``, ``fabgate.outputs``,
``fabgate.panels``), whether it is in this package or in another one. Each driver class has an ``Options`` attribute, a
frozen msgspec Struct that is decoded from its section of gate.yaml with unknown keys refused, and takes one instance of
it as its only argument.

No driver imports emulated hardware. One that has an option for it (``pins: emulated``) gets it from the table
``EMULATORS``, which is empty in a gate with real hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fabgate.errors import HardwareError

#: By kind of emulated hardware: what opens it. ``fabgate.testing.emulated_hardware.provide`` fills it, and nothing else.
EMULATORS: Final[dict[str, Callable[..., Any]]] = {}


def open_emulated(kind: str, *where: object) -> Any:
    """Return emulated hardware; its `kind` says what `where` is. Raises HardwareError in a process that has none."""
    if kind not in EMULATORS:
        raise HardwareError(
            f"found emulated hardware ({kind}) in a process without emulators, wanted 'fabgate run', which has them for"
            " demo: true. Start the gate with it; in a test, call fabgate.testing.emulated_hardware.provide() first"
        )
    return EMULATORS[kind](*where)

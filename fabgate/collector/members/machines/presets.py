"""Presets: how a kind of machine usually behaves. Each is a complete set of rules, which can be changed afterwards.

Rules that a preset does not name have their defaults. It leaves `observe_until`, `price_hint` and the lock as they are.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fabgate import wire
from fabgate.collector.ground.models import Machine
from fabgate.errors import UsageError

MINUTE, HOUR = 60, 3_600
#: Rules of a single machine, not of a kind of machine.
_OWN: Final = frozenset({"observe_until", "price_hint"})
_DEFAULTS: Final = {
    name: value
    for name, value in msgspec.structs.asdict(wire.MachineRules()).items()
    if name not in _OWN | {"lock", "lifted"}
}

#: the titles for people
TITLES: Final = {
    "saw": _("Saw"),
    "laser": _("Laser cutter"),
    "cnc": _("CNC mill"),
    "printer-3d": _("3D printer"),
    "bench-tool": _("Bench tool"),
}

_UNLIKE_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    # The card stays in its holder: people who walk away take it with them, and the power goes off. The dust collector
    # runs on.
    "saw": {
        "mode": "hold",
        "limit_s": 2 * HOUR,
        "max_s": 8 * HOUR,
        "idle_off_s": 10 * MINUTE,
        "warn_s": 60,
        "finish_max_s": 10 * MINUTE,
        "run_on_s": 30,
    },
    # A cut is never interrupted, and fumes are extracted after it.
    "laser": {
        "limit_s": 4 * HOUR,
        "max_s": 12 * HOUR,
        "idle_off_s": 15 * MINUTE,
        "finish_max_s": 2 * HOUR,
        "run_on_s": 2 * MINUTE,
    },
    "cnc": {
        "limit_s": 8 * HOUR,
        "max_s": 24 * HOUR,
        "idle_off_s": 30 * MINUTE,
        "warn_s": 5 * MINUTE,
        "finish_max_s": 8 * HOUR,
        "run_on_s": MINUTE,
    },
    # It prints overnight without supervision. While it heats or cools it counts as idle, which can take long.
    "printer-3d": {
        "limit_s": 24 * HOUR,
        "max_s": 72 * HOUR,
        "idle_off_s": HOUR,
        "warn_s": 10 * MINUTE,
        "finish_max_s": 48 * HOUR,
        "run_on_s": 5 * MINUTE,
        "warm_up_s": 5 * MINUTE,
        "sponsor": True,
        "attended": False,
    },
    # A drill or a sander: many people in turn, and it may be switched off between them.
    "bench-tool": {
        "limit_s": 2 * HOUR,
        "max_s": 8 * HOUR,
        "idle_off_s": 10 * MINUTE,
        "warn_s": MINUTE,
        "finish_max_s": 10 * MINUTE,
        "handover": True,
        "sponsor": True,
    },
}
PRESETS: Final[dict[str, dict[str, Any]]] = {name: {**_DEFAULTS, **values} for name, values in _UNLIKE_DEFAULTS.items()}


def apply(machine: Machine, name: str) -> None:
    """Set the rules of `machine` from a preset. The caller saves it and rebuilds the rosters. Raises UsageError."""
    if name not in PRESETS:
        raise UsageError(
            gettext("found the preset '%(found)s', wanted one of %(wanted)s")
            % {"found": name, "wanted": ", ".join(PRESETS)}
        )
    own = {rule: value for rule, value in machine.rules.items() if rule in _OWN}
    machine.rules, machine.preset = {**PRESETS[name], **own}, name

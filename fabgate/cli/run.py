"""``fabgate run``: runs the gate of a machine.

A gate that starts imports this file and no other verb's.
"""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fabgate.gate.config.gate_yaml import Config


def run(arguments: argparse.Namespace) -> int:
    """Run a gate until SIGTERM."""
    gc.disable()  # imported modules are never garbage (docs/decisions/0084)
    from fabgate.gate import daemon
    from fabgate.gate.logs import unblocked_logging

    gc.freeze()
    gc.enable()
    with unblocked_logging():
        return daemon.run(load(arguments.config))


def load(path: Path) -> Config:
    """Read the gate.yaml of a gate whose drivers will be opened: emulated hardware too, in a demo. Raises UsageError.

    This is the only place where a program lets drivers open emulated hardware (docs/decisions/0136).
    """
    from fabgate.gate.config import gate_yaml

    config = gate_yaml.load(path)
    if config.demo:
        from fabgate.testing import emulated_hardware

        emulated_hardware.provide()
    return config

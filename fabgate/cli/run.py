"""``fabgate run``: runs the gate of a machine.

A gate that starts imports this file and no other verb's.
"""

from __future__ import annotations

import argparse
import gc


def run(arguments: argparse.Namespace) -> int:
    """Run a gate until SIGTERM."""
    gc.disable()  # imported modules are never garbage (docs/decisions/0084)
    from fabgate.gate import daemon
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.logs import unblocked_logging

    gc.freeze()
    gc.enable()
    with unblocked_logging():
        return daemon.run(gate_yaml.load(arguments.config))

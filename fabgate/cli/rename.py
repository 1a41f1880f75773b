"""``fabgate rename``: gives the gate the name that its gate.yaml has."""

from __future__ import annotations

import argparse

from fabgate.gate.config import gate_yaml
from fabgate.gate.terminal import rename as renaming


def rename(arguments: argparse.Namespace) -> int:
    """Rename the gate to the name in its configuration."""
    print(renaming.rename(gate_yaml.load(arguments.config)))
    return 0

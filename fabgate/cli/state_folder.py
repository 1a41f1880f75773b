"""Finds the state folder of the gate that a verb is about."""

from __future__ import annotations

import argparse
from pathlib import Path

from fabgate.gate.config import gate_yaml


def of(arguments: argparse.Namespace) -> Path:
    """Return the gate's state folder: ``--state-dir``, or that of the configuration."""
    if arguments.state_dir is not None:
        return Path(arguments.state_dir)
    return gate_yaml.load(arguments.config, switches=False).state_dir

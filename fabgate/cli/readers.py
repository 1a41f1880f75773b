"""The readers of a gate that is stopped: one reads a card for ``fabgate badge``, or gets its key by ``fabgate keyset``."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fabgate.badge import Badge, Kind, from_uid
from fabgate.cli.run import load
from fabgate.drivers.readers import Card, Misread
from fabgate.errors import HardwareError, UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.terminal.running import gate_runs


def keyset(arguments: argparse.Namespace) -> int:
    """Give an OSDP reader the key of its gate."""
    readers = [reader for reader in _free_readers(arguments.config) if hasattr(reader, "set_key")]
    if not readers:
        raise UsageError("found a reader without a key in gate.yaml, wanted driver: osdp")
    refused = []
    for reader in readers:
        try:
            reader.set_key()
        except HardwareError as error:
            refused.append(str(error))
        else:
            print(f"{reader.identity}, has the key now, and a secure channel with it")
    if refused:
        raise HardwareError("; ".join(refused))
    return 0


def read_card(config_file: Path | None) -> Badge:
    """Wait for a card; return its badge. Raises UsageError without a configuration, or while the gate runs."""
    if config_file is None:
        raise UsageError("found no badge; add a spelling, or --config gate.yaml to read a card on its reader")
    readers = _free_readers(config_file)
    last_reason: object = None
    with ExitStack() as opened:
        for reader in readers:
            reader.open()
            opened.callback(reader.close)
        print(f"hold a card on {'the reader' if len(readers) == 1 else 'a reader'} …", file=sys.stderr)
        while True:
            for reader in readers:
                seen = reader.poll()
                if isinstance(seen, Card):
                    return seen.badge if seen.kind is not Kind.ISO14443A else from_uid(seen.uid)
                if isinstance(seen, Misread) and seen.reason != last_reason:
                    last_reason = seen.reason
                    print(f"not read: {seen.reason}", file=sys.stderr)
            time.sleep(0.05)  # most drivers look at once, and do not wait


def _free_readers(config_file: Path) -> list[Any]:
    """Return the readers of a gate that does not run, not yet open."""
    config = load(config_file)
    if gate_runs(config.state_dir):
        raise UsageError("the gate is running and uses the reader; stop it first (systemctl stop fabgate-gate)")
    return [gate_yaml.make_driver("reader", section) for section in config.reader]

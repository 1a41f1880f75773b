"""The files of a gate: its configuration, keys and stored roster."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from bench.gates.people import BADGE_KEY, COLLECTOR, GATE, GATE_KEY, SITE, roster
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.authorities import Authorities
from fabgate.gate.roster import origin
from fabgate.gate.roster.directory import Directory, store
from fabgate.gate.roster.http_source import Receipt

PIN = 17


def write_config(folder: Path, control_socket: str, members: int = 0, **changes: Any) -> Path:
    """Write a gate.yaml with an emulated chip, mock pins and a collector's roster, of `members` stored already.

    Without ``roster`` among the changes the address of the collector leads nowhere. ``pins`` next to the file is a pipe
    that gets each change of the pins.
    """
    state = folder / "state"
    state.mkdir(exist_ok=True)
    for name, line in (
        ("gate.key", f"k1:{base64.b64encode(GATE_KEY).decode()}"),
        ("badge.key", f"k1:{base64.b64encode(BADGE_KEY).decode()}"),
        ("token", "bench"),
    ):
        (folder / name).write_text(line + "\n", encoding="ascii")
    if members:
        store(roster(range(members)), state / "roster.db", source=origin.of_collector(COLLECTOR))
    os.mkfifo(folder / "pins")
    source = changes.pop("roster", {"url": "http://127.0.0.1:9", "fetch_every_s": 3600})
    found = {
        "site": SITE,
        "gate": GATE,
        "state_dir": str(state),
        "demo": True,
        "machine": {"name": "Laser 1", "finish": "cut"},
        "reader": {"driver": "mfrc522", "chip": "emulated", "control_socket": control_socket},
        "output": {"driver": "gpio", "pin": PIN, "pins": "emulated", "pin_log": str(folder / "pins")},
        "roster": {"token_file": str(folder / "token"), **source},
        "gate_key_file": str(folder / "gate.key"),
        "badge_key_file": str(folder / "badge.key"),
        "clock": {"source": "assume-synced"},
        **changes,
    }
    path = folder / "gate.yaml"
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")  # JSON is YAML
    if members:
        with contextlib.closing(Directory(state / "roster.db")) as directory:
            version = directory.version
        trusted = Authorities(gate_yaml.load(path)).digest
        receipt = Receipt(version=version, hash="", etag=f'"{version}"', authorities=trusted)
        (state / "roster.json").write_bytes(msgspec.json.encode(receipt))
    return path


def reader_socket(config: Path) -> str:
    """Return the control socket of the reader in a gate.yaml of ours."""
    return str(json.loads(config.read_text(encoding="utf-8"))["reader"]["control_socket"])

"""What does the gate think now? ``status.json`` in the state directory, always whole, for ``fabgate status``."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from fabgate import wire
from fabgate.gate.config import Config
from fabgate.gate.recorder import Stored
from fabgate.gate.uplink import LinkChanged


class StatusFile:
    """Writes the newest status from a thread of its own: a hanging disk must not hold up the loop."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._config = config
        self._queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()

    def write(self, state: wire.State, status: wire.Status, link: LinkChanged, stored: Stored, journal: str) -> None:
        """Queue a status."""
        self._queue.put(
            {
                "site": self._config.site,
                "gate": self._config.gate,
                "machine": self._config.machine.name or self._config.gate,
                "pid": os.getpid(),
                "version": status.version,
                "boot": status.boot,
                **msgspec.to_builtins(state),
                "journal": {"id": journal, "head": stored.head, "unacknowledged": stored.unacknowledged},
                "mqtt": {
                    "configured": self._config.mqtt is not None,
                    "connected": link.connected,
                    "problem": link.problem,
                },
                "roster": msgspec.to_builtins(status.roster),
                "clock_synced": status.synced,
                "problems": list(status.problems),
            }
        )

    def stop(self) -> None:
        """Ask the thread to end."""
        self._queue.put(None)

    def run(self) -> None:
        """Write until told to stop."""
        while (status := self._queue.get()) is not None:
            fresh = self._path.with_suffix(".new")
            # Not fsynced: it is only about now, and the rename keeps it whole.
            with contextlib.suppress(OSError):
                fresh.write_bytes(msgspec.json.format(msgspec.json.encode(status), indent=2))
                fresh.replace(self._path)

"""What does the gate think now? ``status.json`` in the state directory, always whole, and how a terminal shows it.

The file is written when something happened. What changes with time alone, the age of the roster, is not in it: who reads
the file computes it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.gate.clock import boot_id, boottime_ms
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.journal.recorder import Stored
from fabgate.gate.roster.http_source import age_ms, read_receipt
from fabgate.gate.terminal.lists import roster_version
from fabgate.gate.uplink.connection import LinkChanged
from fabgate.rules.vocabulary import Now

RETRY_S: Final = 2.0
#: So long after a change what came until then is written: in the first moments of a tap the processor and the disk
#: belong to the journal, for which the machine waits (measured: half of the time from badge to power went here).
REST_S: Final = 0.1
#: The next status is written into a file that has this room already, so that a full disk can be told of.
SPARE_BYTES: Final = 4096


def rows(found: dict[str, Any], *, alive: bool, now: datetime) -> list[tuple[str, str]]:
    """Return a status that was read from the file as names and text, its problems last.

    `alive` is whether its process still runs. Raises KeyError, TypeError or ValueError for what is no status.
    """
    causes = f" (blocked: {', '.join(found['causes'])})" if found.get("causes") else ""
    member = f" by {found['member']}" if found.get("member") else ""
    mqtt, roster = found["mqtt"], found["roster"]
    journal = found["journal"]
    entries = f"entry {journal['head']}"
    if mqtt.get("configured", True):
        waiting = f"{journal['unacknowledged']} not yet at the collector"
        link = "connected" if mqtt["connected"] else mqtt["problem"]
    else:
        waiting, link = "no broker configured; kept here", "not configured"
        if journal.get("floor", 1) > 1:
            entries = f"entries {journal['floor']} to {journal['head']}"
            waiting = f"no broker configured; the newest {journal['newest_kept']} are kept, older ones are gone"
    shown = {
        "machine": f"{found['machine']} ({found['site']}/{found['gate']})",
        "process": f"running, pid {found['pid']}" if alive else "NOT RUNNING",
        "state": f"{found['state']}{member}{causes}",
        "journal": f"{entries}, {waiting}",
        "broker": link,
        "roster": roster_version(roster["version"], now) if roster else "none",
        "wall clock": "synchronised" if found["clock_synced"] else "not synchronised",
    }
    if not alive:
        # A dead gate's last words are not the present: the journal knows what came after them.
        shown |= {name: f"last known: {shown[name]}" for name in ("state", "journal", "broker", "roster", "wall clock")}
    return [*shown.items(), *(("problem", str(problem)) for problem in found["problems"])]


def with_age(found: dict[str, Any], receipt_path: Path, now: datetime) -> dict[str, Any]:
    """Return a status that was read from the file with the age of its roster at `now`, as ``roster.age_s``.

    The age is that of the confirmation on disk, which may be 15 minutes older than the last one. It is None for a roster
    that cannot grow old (a file's), and where neither the boot clock nor the wall clock can tell.
    """
    roster = found["roster"]
    if not roster:
        return found
    receipt = read_receipt(receipt_path)
    if receipt is not None and receipt.version != roster["version"]:
        receipt = None
    known_ms = age_ms(receipt, Now(boottime_ms(), now, synced=True), boot_id())
    return {**found, "roster": {**roster, "age_s": None if known_ms is None else known_ms // 1000}}


def without_age(status: wire.Status) -> wire.Status:
    """Return a status without what changes although nothing happens: the age of its roster."""
    if status.roster is None:
        return status
    return msgspec.structs.replace(status, roster=msgspec.structs.replace(status.roster, age_s=None))


class StatusFile:
    """Writes the newest status from a thread of its own: a hanging disk must not hold up the loop."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._config = config
        self._queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._stopping = threading.Event()

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
                "journal": {
                    "id": journal,
                    "floor": stored.floor,
                    "head": stored.head,
                    "unacknowledged": stored.unacknowledged,
                    "newest_kept": self._config.journal.max_entries if self._config.mqtt is None else None,
                },
                "mqtt": {
                    "configured": self._config.mqtt is not None,
                    "connected": link.connected,
                    "problem": link.problem,
                },
                "roster": msgspec.to_builtins(without_age(status).roster),
                "clock_synced": status.synced,
                "problems": list(status.problems),
            }
        )

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()
        self._queue.put(None)

    def run(self) -> None:
        """Write the newest until told to stop; what the disk does not take is tried again."""
        body = b""
        while not (self._stopping.is_set() and self._queue.empty()):
            try:
                newest = self._queue.get(timeout=RETRY_S if body else None)
            except Empty:
                pass
            else:
                self._stopping.wait(REST_S)
                while not self._queue.empty():
                    newest = self._queue.get() or newest
                if newest is not None:
                    body = msgspec.json.format(msgspec.json.encode(newest), indent=2)
            if body:
                with contextlib.suppress(OSError):
                    self._replace(body)
                    body = b""

    def _replace(self, body: bytes) -> None:
        spare = self._path.with_suffix(".new")
        # Not fsynced: it is only about now, and the rename keeps it whole.
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as out:
            out.write(body)
            out.truncate()
        spare.replace(self._path)
        with contextlib.suppress(OSError):
            spare.write_bytes(bytes(SPARE_BYTES))

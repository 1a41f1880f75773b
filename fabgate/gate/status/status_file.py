"""Writes ``status.json``, the gate's status on disk, and formats it for a terminal.

The file is always whole, and written when something has changed. The age of the roster, which changes with time alone,
is not in it: readers compute it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

import msgspec

from fabgate import wire
from fabgate.gate.clock import boot_id, boottime_ms
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.journal.recorder import EntriesStored
from fabgate.gate.roster.http_source import age_ms, read_receipt
from fabgate.gate.terminal.lists import roster_version
from fabgate.gate.uplink.events import LinkChanged
from fabgate.rules.vocabulary import Now

RETRY_S: Final = 2.0
#: A change is written after this pause: in the first moments of a tap the processor and the disk belong to the journal,
#: for which the machine waits (measured: without the pause, half of the time from badge to power).
PAUSE_S: Final = 0.1
#: The next status is written into a file that already has this size, so that a full disk can still be reported.
SPARE_BYTES: Final = 4096
#: The rows of a status that a gate which has ended may have changed since.
_CHANGING: Final = ("state", "journal", "broker", "roster", "wall clock", "readers")


def rows(status: dict[str, Any], *, alive: bool, now: datetime) -> list[tuple[str, str]]:
    """Return the content of status.json as (name, text), the problems last.

    `alive` is whether its process still runs. Raises KeyError, TypeError or ValueError where `status` is no status.
    """
    causes = f" (blocked: {', '.join(status['causes'])})" if status.get("causes") else ""
    member = f" by {status['member']}" if status.get("member") else ""
    mqtt, roster = status["mqtt"], status["roster"]
    journal = status["journal"]
    entries = f"entry {journal['head']}"
    if mqtt.get("configured", True):
        waiting = f"{journal['unacknowledged']} not yet at the collector"
        link = "connected" if mqtt["connected"] else mqtt["problem"]
    else:
        waiting, link = "no broker configured; kept here", "not configured"
        if journal.get("floor", 1) > 1:
            entries = f"entries {journal['floor']} to {journal['head']}"
            waiting = f"no broker configured; only the newest {journal['newest_kept']} are kept"
    texts = {
        "machine": f"{status['machine']} ({status['site']}/{status['gate']})",
        "process": f"running, pid {status['pid']}" if alive else "NOT RUNNING",
        "state": f"{status['state']}{member}{causes}",
        "journal": f"{entries}, {waiting}",
        "broker": link,
        "roster": roster_version(roster["version"], now) if roster else "none",
        "wall clock": "synchronised" if status["clock_synced"] else "not synchronised",
    }
    if readers := status.get("readers"):
        texts["readers"] = ", ".join(f"{one['name']} {one['state']}" for one in readers)
    if not alive:
        # The last status of a gate that has ended is not the present: the journal knows what came after it.
        texts |= {name: f"last known: {texts[name]}" for name in _CHANGING if name in texts}
    return [*texts.items(), *(("problem", str(problem)) for problem in status["problems"])]


def with_age(status: dict[str, Any], receipt_path: Path, now: datetime) -> dict[str, Any]:
    """Return the content of status.json with the age of its roster at `now`, as ``roster.age_s``.

    The age is that of the confirmation on disk, which may be 15 minutes older than the last one. It is None for the
    roster of a file, which has no age, and where neither the boot clock nor the wall clock can tell.
    """
    roster = status["roster"]
    if not roster:
        return status
    receipt = read_receipt(receipt_path)
    if receipt is not None and receipt.version != roster["version"]:
        receipt = None
    known_ms = age_ms(receipt, Now(boottime_ms(), now, synced=True), boot_id())
    return {**status, "roster": {**roster, "age_s": None if known_ms is None else known_ms // 1000}}


def without_age(status: wire.Status) -> wire.Status:
    """Return a status without the age of its roster, which changes although nothing happens."""
    if status.roster is None:
        return status
    return msgspec.structs.replace(status, roster=msgspec.structs.replace(status.roster, age_s=None))


class StatusFile:
    """Writes the newest status in a thread of its own: a hanging disk must not block the loop."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._config = config
        self._queue: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._stopping = threading.Event()

    def write(
        self,
        state: wire.State,
        status: wire.Status,
        link: LinkChanged,
        stored: EntriesStored,
        journal: str,
        readers: Sequence[msgspec.Struct] = (),
        read_back: str = "",
        longest_pauses_ms: Sequence[int] = (),
    ) -> None:
        """Queue a status. `readers` are those of a gate with several, `read_back` is "" without a contact at the load.

        `longest_pauses_ms` is the longest pause between two repetitions of a badge that each reader has made: ``fabgate
        doctor`` compares it with `gone_after_ms`.
        """
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
                **({"readers": msgspec.to_builtins(readers)} if readers else {}),
                **({"read_back": read_back} if read_back else {}),
                **({"longest_pauses_ms": list(longest_pauses_ms)} if any(longest_pauses_ms) else {}),
                "clock_synced": status.synced,
                "problems": list(status.problems),
            }
        )

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()
        self._queue.put(None)

    def run(self) -> None:
        """Write the newest status until asked to stop; a failed write is tried again."""
        body = b""
        while not (self._stopping.is_set() and self._queue.empty()):
            try:
                newest = self._queue.get(timeout=RETRY_S if body else None)
            except Empty:
                pass
            else:
                self._stopping.wait(PAUSE_S)
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
        # Not fsynced: it describes only the present, and the rename keeps it whole.
        with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as out:
            out.write(body)
            out.truncate()
        spare.replace(self._path)
        with contextlib.suppress(OSError):
            spare.write_bytes(bytes(SPARE_BYTES))

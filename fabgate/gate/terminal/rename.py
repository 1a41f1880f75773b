"""Renames a gate: delivers its journal under the old name, clears its retained topics, and starts a new journal.

A journal belongs to one name: its entries contain it, and the collector and the broker's access list check it. The old
file is kept under another name; nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import msgspec

from fabgate import wire
from fabgate.errors import FabgateError, UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import MarkMoved

DRAIN_S: Final = 60.0
CLEAR_S: Final = 2.0
#: How long a process that reads the old journal is waited for.
READER_S: Final = 10.0
PREVIOUS: Final = "previous-journal"


class DrainError(FabgateError, TimeoutError):
    """Entries of the old name have not reached the collector yet."""


def rename(config: Config) -> str:
    """Rename the gate to the name in its configuration; return what was done, as a line of text.

    Raises UsageError, DrainError. After a failure it can be called again, and continues where it stopped.
    """
    path = config.state_dir / "journal.db"
    if not path.exists():
        raise UsageError(f"{path}: there is no journal; a gate without one just starts under its new name")
    with (config.state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{config.state_dir}: the gate is running; stop it first") from error
        with contextlib.closing(JournalReader(path)) as reader:
            old, name = reader.topics, reader.id
            if old == config.topics:
                return f"the gate's name is {old.account} already"
            _deliver(msgspec.structs.replace(config, site=old.site, gate=old.gate), reader)
        kept = _set_aside(path, old, name)
        return f"{old.account} is now {config.topics.account}; the old journal is kept as {kept.name}"


def _entries(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _deliver(config: Config, reader: JournalReader) -> None:
    """Publish what the collector has not confirmed, then clear the old name's retained topics."""
    _, head, mark = reader.bounds()
    if config.mqtt is None:
        if head > mark:
            raise DrainError(
                f"{_entries(head - mark)} never reached a collector, and gate.yaml names no broker to deliver to"
            )
        return
    events: SimpleQueue[object] = SimpleQueue()
    uplink = Uplink(config, reader, events.put)
    threads = [threading.Thread(target=run, daemon=True) for run in (uplink.run_network, uplink.run)]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + DRAIN_S
        while mark < head:
            try:
                event = events.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise DrainError(
                    f"{_entries(head - mark)} of {config.topics.account} did not reach the collector in {DRAIN_S:.0f} s."
                    " Check that broker and collector are running, and run this again: nothing was changed"
                ) from None
            if isinstance(event, MarkMoved):
                mark = event.seq
        if not uplink.clear_retained(timeout_s=CLEAR_S):
            raise DrainError("the broker did not confirm that the old topics were cleared; run this again")
    finally:
        uplink.stop()
        for thread in threads:
            thread.join(timeout=CLEAR_S)


def _set_aside(path: Path, old: wire.GateTopics, name: str) -> Path:
    """Rename the file of the journal; return its new name. Raises UsageError while a process is reading it."""
    _fold(path, old)
    kept = path.with_name(f"journal-{old.site}-{old.gate}-{name}.db")
    with (path.parent / PREVIOUS).open("w", encoding="ascii") as note:
        note.write(name)
        note.flush()
        os.fsync(note.fileno())
    path.replace(kept)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    fsync_directory(path.parent)
    return kept


def _fold(path: Path, old: wire.GateTopics) -> None:
    """Bring the whole WAL into the main file before it is renamed.

    Closing the journal would do so only if no other process has it open.
    """
    with contextlib.closing(Journal(path, old)) as journal:
        until = time.monotonic() + READER_S
        while not journal.fold_all():
            if time.monotonic() < until:
                continue
            raise UsageError(
                f"{path}: the journal is being read by {_readers(path) or 'another process'}; end that, and run this again:"
                " nothing was changed"
            )


def _readers(path: Path) -> str:
    """Return which other processes have a file open, as far as this one may see."""
    names = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # the process has ended, or belongs to another user
            pid = int(link.parts[2])
            if pid != os.getpid() and link.samefile(path):
                names[pid] = (Path("/proc") / str(pid) / "exe").readlink().name
    return ", ".join(f"process {pid} ({name})" for pid, name in sorted(names.items()))


def previous_journal(state_dir: Path) -> str | None:
    """Return the id of the journal that a new one follows, or None."""
    try:
        return (state_dir / PREVIOUS).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):  # missing or damaged
        return None

"""What surrounds a gate in tests: a clock that is moved by hand, a reader, and a disk that can hang."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fabgate.drivers.readers import Card, Misread
from fabgate.errors import HardwareError
from fabgate.gate.clock import Clock
from fabgate.gate.journal.writer import open_connection
from tests.support.patience import wait

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

#: Everybody's card.
CARDS = {"ada": "04A1B2C3", "bob": "04A1B2C4", "max": "04A1B2C5", "sue": "04A1B2C6", "eve": "04A1B2C7"}


class Time:
    """A clock that goes on when somebody moves it. `wall` may jump apart from it; ``synced`` is what NTP would say."""

    def __init__(self, *, boot: str = "boot-1", ms: int = 1_000_000, synced: bool = True) -> None:
        self.boot = boot
        self.ms = ms
        self.synced = synced
        self.wall = NOON.timestamp() - ms / 1000

    def clock(self) -> Clock:
        return Clock(
            boot=self.boot,
            boot_ms=lambda: self.ms,
            wall=lambda: self.wall + self.ms / 1000,
            synced=lambda: self.synced,
        )

    def reboot(self, *, ms: int = 5_000, off_s: float = 0) -> None:
        """Start the boot clock anew, `off_s` of wall time later."""
        now = self.wall + self.ms / 1000 + off_s
        self.boot, self.ms = f"{self.boot}'", ms
        self.wall = now - ms / 1000


class FakeReader:
    """A reader on which tests lay cards. It can be unplugged, hang in a poll, or have a bug."""

    continuous = True
    supervised = True

    def __init__(self) -> None:
        self.recoveries = 0
        self.seen: Card | Misread | None = None
        self.plugged = True
        self.buggy = False
        self.polls = 0
        self.opened = 0
        self.hanging = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        #: "open" and "close" in the order in which they were called.
        self.calls: list[str] = []
        #: Called once, at the next open or poll.
        self.before_open: Callable[[], None] | None = None
        self.before_poll: Callable[[], None] | None = None

    def open(self) -> None:
        self.opened += 1
        self.calls.append("open")
        before, self.before_open = self.before_open, None
        if before is not None:
            before()
        if not self.plugged:
            raise HardwareError("the fake reader is unplugged")

    def poll(self) -> Card | Misread | None:
        if not self.answers.is_set():
            self.hanging.set()
            self.answers.wait()
        before, self.before_poll = self.before_poll, None
        if before is not None:
            before()
        if not self.plugged:
            raise HardwareError("the fake reader is unplugged")
        if self.buggy:
            self.buggy = False
            raise ZeroDivisionError("a bug of the driver")
        self.polls += 1
        return self.seen

    def close(self) -> None:
        self.calls.append("close")

    def recover_with(self, who: str) -> None:
        """Repair itself, and see the card that it had missed."""
        self.recoveries += 1
        self.lay(who)

    def lay(self, who: str) -> None:
        self.seen = Card(bytes.fromhex(CARDS.get(who, who)))

    def lift(self) -> None:
        self.seen = None

    def looked(self, polls: int = 1) -> None:
        """Wait until that many polls began and ended after this call."""
        upto = self.polls + 1 + polls
        wait(lambda: self.polls >= upto, "a poll of the reader")


class Disk:
    """What stands below SQLite. Commits can be held for as long as a test likes, fail, or fail and be durable."""

    def __init__(self) -> None:
        self._goes_on = threading.Event()
        self._goes_on.set()
        self.held = threading.Event()
        #: A sentence of the operating system, as long as nothing can be written.
        self.broken = ""
        #: So many of the next commits are durable and raise all the same.
        self.phantoms = 0
        #: It breaks with this sentence once one more commit is durable.
        self.breaks_after = ""
        self.commits = 0

    def hold(self) -> None:
        self.held.clear()
        self._goes_on.clear()

    def go_on(self) -> None:
        self._goes_on.set()

    def connect(self, path: str) -> Any:
        if self.broken:
            raise sqlite3.OperationalError(self.broken)
        return _Connection(open_connection(path), self)

    def commit(self, commit: Callable[[], Any]) -> Any:
        if not self._goes_on.is_set():
            self.held.set()
            self._goes_on.wait()
        self.check()
        found = commit()
        self.commits += 1
        self.broken, self.breaks_after = self.breaks_after or self.broken, ""
        if self.phantoms:
            self.phantoms -= 1
            raise sqlite3.OperationalError("disk I/O error (after the fact)")
        return found

    def check(self) -> None:
        if self.broken:
            raise sqlite3.OperationalError(self.broken)


class _Connection:
    def __init__(self, db: sqlite3.Connection, disk: Disk) -> None:
        self._db = db
        self._disk = disk

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> Any:
        if sql == "COMMIT":
            return self._disk.commit(lambda: self._db.execute(sql))
        if sql.startswith(("BEGIN", "PRAGMA wal_checkpoint")):
            self._disk.check()
        return self._db.execute(sql, values)

    def close(self) -> None:
        self._db.close()

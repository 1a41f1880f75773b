"""What waits between the broker and the database, and how much of it, in messages and in bytes?

The connection's thread puts messages in, the ingest takes them out. More than fits waits only when the database does not
keep up, or when one gate floods it. Then new messages are dropped, unacknowledged, and the gates send them again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from queue import SimpleQueue
from typing import Final

from fabgate.collector.received import Received

MAX_WAITING: Final = 50_000
#: Entries have less than a kilobyte, so that honest gates meet the limit of messages first.
MAX_BYTES: Final = 64 * 1024 * 1024
#: Of one account: a gate keeps 400 entries back until they are acknowledged, and none is above 32 KiB. What is beyond
#: that would take the room of the others.
MAX_BYTES_OF_ONE: Final = 16 * 1024 * 1024
#: What the queue and Python need for a message besides its body.
OVERHEAD_BYTES: Final = 400


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker said yes."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or its thread is; another attempt follows."""

    why: str
    #: What is wrong with the dates of the broker's certificate; "" where something else is wrong.
    certificate: str = ""


Posted = Received | Connected | Lost


class Inbox:
    """A queue that is bounded for messages. What the link itself posts always fits."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Posted] = SimpleQueue()
        self._lock = threading.Lock()
        self._bytes = 0
        self._bytes_of: defaultdict[str, int] = defaultdict(int)

    def post(self, word: Connected | Lost) -> None:
        """Add a word about the connection."""
        self._queue.put(word)

    def offer(self, message: Received) -> bool:
        """Add a message where there is room, or drop it; return whether it was added."""
        size, account = _size(message), _account_of(message.topic)
        with self._lock:
            # One message always fits: else one larger than a limit would never be seen, and never be refused.
            is_full = self._bytes and (
                self._bytes + size > MAX_BYTES
                or self._queue.qsize() >= MAX_WAITING
                or (self._bytes_of[account] and self._bytes_of[account] + size > MAX_BYTES_OF_ONE)
            )
            if is_full:
                return False
            self._bytes += size
            self._bytes_of[account] += size
        self._queue.put(message)
        return True

    def get(self, *, timeout_s: float = 0.0) -> Posted:
        """Return what came first; raises queue.Empty when nothing comes within `timeout_s` seconds."""
        found = self._queue.get(block=timeout_s > 0, timeout=timeout_s or None)
        if isinstance(found, Received):
            size, account = _size(found), _account_of(found.topic)
            with self._lock:
                self._bytes -= size
                self._bytes_of[account] -= size
                if not self._bytes_of[account]:
                    del self._bytes_of[account]
        return found

    @property
    def count(self) -> int:
        """How many messages and words wait."""
        return self._queue.qsize()

    @property
    def bytes(self) -> int:
        """How many bytes the waiting messages take."""
        return self._bytes


def _size(message: Received) -> int:
    return len(message.body) + len(message.topic) + OVERHEAD_BYTES


@lru_cache(4096)
def _account_of(topic: str) -> str:
    """Return whose messages a topic carries: its part up to the gate, which the broker's access list holds accounts to."""
    return "/".join(topic.split("/", 4)[:4])

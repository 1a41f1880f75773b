"""Holds messages between the broker and the database, and hands them out fairly.

The connection's thread puts messages in, and ingest takes them out: the same number of bytes from each account in turn,
so that a gate that sends endlessly delays others by one turn only. The inbox is only full if the database does not keep
up, or a gate floods it. Messages are then dropped without an acknowledgement, and the gates send them again. Decided in
docs/decisions/0031, 0069 and 0070.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from fabgate import wire
from fabgate.collector.recording.broker.allowance import Allowance
from fabgate.collector.recording.broker.message import Received

MAX_WAITING: Final = 50_000
#: Entries are smaller than a kilobyte, so a healthy gate reaches the limit of messages first.
MAX_BYTES: Final = 64 * 1024 * 1024
#: For one account: a gate has at most 400 entries of 32 KiB on their way. More would take the room of other gates.
MAX_BYTES_OF_ONE: Final = 16 * 1024 * 1024
#: Five times the 400 entries that a gate sends without an acknowledgement. Until they are stored it repeats them, first
#: after 10 s, then less often.
MAX_WAITING_OF_ONE: Final = 2_000
#: An account with more than twice those 400 entries in the inbox counts as flooding. Each batch is acknowledged before
#: the next one, so a gate that keeps to its window has that many only after a reconnection.
FLOODS_AT: Final = 2 * wire.ACK_WINDOW
#: Memory for a message besides its body.
OVERHEAD_BYTES: Final = 400
#: A usual batch takes less processor time than this, in seconds; so does a message that does not count as costly.
BATCH_S: Final = 0.1
COSTLY_S: Final = 0.002
#: How much processor time, in seconds, the messages of an account with costly messages may take in one batch.
SLICE_S: Final = 0.25
#: A status, and the first entry of a journal, may change other journals. Each counts as this many messages, because its
#: cost is not known beforehand.
BEGINNING: Final = 10
#: How many bytes of one account are taken in its turn: some twenty usual entries.
TURN_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted the connection."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is lost, or its thread has died; another attempt follows."""

    why: str
    #: What is wrong with the dates of the broker's certificate; "" if something else is wrong.
    certificate: str = ""


Posted = Received | Connected | Lost


@dataclass(slots=True)
class _Account:
    """The waiting messages of one account; `credit` is how many more bytes may be taken in this turn."""

    messages: deque[Received] = field(default_factory=deque)
    bytes: int = 0
    credit: int = TURN_BYTES


class Inbox:
    """Holds a queue of messages for each account, up to the limits.

    Events of the link always fit, and are returned first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready = threading.Condition(threading.Lock())
        self._words: deque[Connected | Lost] = deque()
        #: Accounts with waiting messages; the first in `_turns` is next.
        self._accounts: dict[str, _Account] = {}
        self._turns: deque[str] = deque()
        self._count = 0
        self._bytes = 0
        #: Accounts whose messages take long to store, and how many of them a batch may hold.
        self._most: dict[str, int] = {}
        #: When resting accounts get a turn again (monotonic seconds); 0 means the next batch.
        self._resting: dict[str, float] = {}
        #: How many messages of each account of `_most` the batch holds so far.
        self._taken: Counter[str] = Counter()
        self._allowances: dict[str, Allowance] = {}
        #: Accounts with more waiting messages than a gate sends without an acknowledgement, until none is waiting any
        #: more.
        self._flooding: set[str] = set()
        self._refused: set[str] = set()

    def post(self, word: Connected | Lost) -> None:
        """Add an event of the connection."""
        with self._ready:
            self._words.append(word)
            self._ready.notify()

    def offer(self, message: Received) -> bool:
        """Add a message, or drop it if there is no room; return whether it was added."""
        size, name = _size(message), _account_of(message.topic)
        with self._ready:
            account = self._accounts.get(name)
            # One message always fits: otherwise a message above a limit would never be read and quarantined.
            if account is not None and (
                account.bytes + size > MAX_BYTES_OF_ONE or len(account.messages) >= MAX_WAITING_OF_ONE
            ):
                self._refused.add(name)
                return False
            if self._count and (self._bytes + size > MAX_BYTES or self._count >= MAX_WAITING):
                return False
            now_s = self._clock()
            allowance = self._allowances.get(name)
            if allowance is None:
                allowance = self._allowances[name] = Allowance(now_s)
            if not allowance.spend(len(message.body), now_s):
                self._refused.add(name)
                return False
            if account is None:
                account = self._accounts[name] = _Account()
                if name not in self._resting:
                    self._turns.append(name)
                    self._ready.notify()
            account.messages.append(message)
            account.bytes += size
            if len(account.messages) > FLOODS_AT:
                self._flooding.add(name)
            self._count += 1
            self._bytes += size
        return True

    def get(self, *, timeout_s: float = 0.0) -> Posted:
        """Return an event, or the message whose turn it is: the first of a batch, which `take` continues.

        Raises queue.Empty if nothing arrives within `timeout_s` seconds.
        """
        with self._ready:
            self._taken.clear()
            until_s = self._clock() + timeout_s
            while True:
                now_s = self._clock()
                self._wake(now_s)
                if self._words or self._turns:
                    return self._words.popleft() if self._words else self._next()
                if now_s >= until_s:
                    raise queue.Empty
                self._ready.wait(min(until_s, *self._resting.values()) - now_s if self._resting else until_s - now_s)

    def take(self, most: int, most_bytes: int) -> list[Posted]:
        """Return what is there, without waiting, up to the work of `most` usual messages or `most_bytes`."""
        found: list[Posted] = []
        left = most
        with self._ready:
            while self._words:
                found.append(self._words.popleft())
            last = self._bytes - most_bytes
            while self._turns and left > 0 and self._bytes > last:
                message = self._next()
                found.append(message)
                left -= _work(message)
        return found

    def stored(self, messages: Sequence[Received], cpu_s: float) -> None:
        """Record the processor time of a batch, in seconds; accounts with costly messages then rest for that time.

        All messages of a batch count the same, so a gate with one of two hundred hardly rests. Taking turns would not
        suffice: an entry that changes thousands of sessions takes as long as a thousand usual ones.
        """
        each_s = (cpu_s - BATCH_S) / len(messages)
        if each_s < COSTLY_S and not self._most:
            return
        now_s = self._clock()
        with self._ready:
            for name, count in Counter(_account_of(one.topic) for one in messages).items():
                if each_s < COSTLY_S:
                    self._most.pop(name, None)
                    continue
                self._most[name] = max(1, int(SLICE_S / each_s))
                self._rest(name, now_s + each_s * count)

    def _wake(self, now_s: float) -> None:
        """End the rest of accounts whose time is over. The caller holds the lock."""
        for name in [name for name, until_s in self._resting.items() if until_s <= now_s]:
            del self._resting[name]
            if name in self._accounts:
                self._turns.append(name)

    def _next(self) -> Received:
        """Return the message whose turn it is. The caller holds the lock and knows that one waits."""
        name = self._turns[0]
        account = self._accounts[name]
        while account.credit <= 0:  # a message larger than a turn uses up later turns
            account.credit += TURN_BYTES
            self._turns.rotate(-1)
            name = self._turns[0]
            account = self._accounts[name]
        message = account.messages.popleft()
        size = _size(message)
        account.bytes -= size
        account.credit -= size
        self._count -= 1
        self._bytes -= size
        if not account.messages:
            del self._accounts[name]
            self._turns.popleft()
            self._flooding.discard(name)
        if name in self._most:
            self._hold(name)
        return message

    def _hold(self, name: str) -> None:
        """Let an account rest if the batch has as many of its messages as it may; `stored` sets until when."""
        self._taken[name] += 1
        if self._taken[name] >= self._most[name]:
            self._rest(name, 0.0)

    def _rest(self, name: str, until_s: float) -> None:
        """Give an account no turn before `until_s`. The caller holds the lock."""
        self._resting[name] = until_s
        with contextlib.suppress(ValueError):  # the account has no messages waiting, or rests already
            self._turns.remove(name)

    @property
    def is_flooded(self) -> bool:
        """Whether an account sends more than it may, and some of its messages still wait."""
        return bool(self._flooding)

    @property
    def has_refused(self) -> bool:
        """Whether `refused` has gates to return."""
        return bool(self._refused)

    def refused(self) -> set[str]:
        """Return the gates whose messages were refused since the last call."""
        with self._ready:
            found, self._refused = self._refused, set()
        return {name.rpartition("/")[2] for name in found}

    @property
    def count(self) -> int:
        """Return how many messages and events wait."""
        return self._count + len(self._words)

    @property
    def bytes(self) -> int:
        """Return how many bytes the waiting messages take."""
        return self._bytes


def _size(message: Received) -> int:
    return len(message.body) + len(message.topic) + OVERHEAD_BYTES


def _work(message: Received) -> int:
    """Return how many usual messages this one counts as in a batch."""
    if message.seq == "1" or message.topic.endswith("/journal/forked"):
        return BEGINNING
    return BEGINNING if message.seq is None and not message.topic.endswith("/state") else 1


@lru_cache(4096)
def _account_of(topic: str) -> str:
    """Return the account of a topic: the part up to the gate, by which the broker's access list separates accounts."""
    return "/".join(topic.split("/", 4)[:4])

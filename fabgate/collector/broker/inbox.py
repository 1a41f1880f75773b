"""What waits between the broker and the database, how much of it, and whose turn is it?

The connection's thread puts messages in, the ingest takes them out: in turns of the same size for each account, so that
a gate that sends without end delays the others by a turn and not by all that it sent. More than fits waits only when the
database does not keep up, or when a gate floods it. Then messages are dropped, unacknowledged, and the gates send them
again. Decided in docs/decisions/0031, 0069 and 0070.
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
from fabgate.collector.broker.allowance import Allowance
from fabgate.collector.broker.message import Received

MAX_WAITING: Final = 50_000
#: Entries have less than a kilobyte, so that honest gates meet the limit of messages first.
MAX_BYTES: Final = 64 * 1024 * 1024
#: Of one account: a gate keeps 400 entries back until they are acknowledged, and none is above 32 KiB. What is beyond
#: that would take the room of the others.
MAX_BYTES_OF_ONE: Final = 16 * 1024 * 1024
#: Five times those 400: while nothing is stored a gate sends them again, after 10 s and then more and more seldom.
MAX_WAITING_OF_ONE: Final = 2_000
#: Beyond twice those 400 an account floods. Each batch is stored and acknowledged before the next, and a gate that keeps
#: to its window has so many waiting only after it had to connect again.
FLOODS_AT: Final = 2 * wire.ACK_WINDOW
#: What the queue and Python need for a message besides its body.
OVERHEAD_BYTES: Final = 400
#: A batch of usual entries takes less of the processor than this, in seconds: for itself, and for each message.
BATCH_S: Final = 0.1
COSTLY_S: Final = 0.002
#: Of an account whose messages take longer a batch holds no more than takes about this long.
SLICE_S: Final = 0.25
#: A status, and an entry that begins a journal, may change what is known of other journals: each takes as long as so many
#: others, which nobody has measured yet when the first of them come.
BEGINNING: Final = 10
#: So much of one account is taken before it is the next one's turn: some twenty usual entries.
TURN_BYTES: Final = 16 * 1024


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


@dataclass(slots=True)
class _Account:
    """What waits of one account; `credit` is how much more of it may be taken in this turn, in bytes."""

    messages: deque[Received] = field(default_factory=deque)
    bytes: int = 0
    credit: int = TURN_BYTES


class Inbox:
    """Bounded for messages, one queue an account. What the link itself posts always fits, and comes out first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready = threading.Condition(threading.Lock())
        self._words: deque[Connected | Lost] = deque()
        #: Who has something waiting; whose turn it is, is first in `_turns`.
        self._accounts: dict[str, _Account] = {}
        self._turns: deque[str] = deque()
        self._count = 0
        self._bytes = 0
        #: Whose messages take long to store, and how many of them a batch may hold.
        self._most: dict[str, int] = {}
        #: Who gets no turn until when (monotonic seconds); 0 is the next batch.
        self._resting: dict[str, float] = {}
        #: How many of theirs the batch holds so far.
        self._taken: Counter[str] = Counter()
        self._allowances: dict[str, Allowance] = {}
        #: Who had more waiting than a gate that keeps to its window, and still has something waiting.
        self._flooding: set[str] = set()
        self._refused: set[str] = set()

    def post(self, word: Connected | Lost) -> None:
        """Add a word about the connection."""
        with self._ready:
            self._words.append(word)
            self._ready.notify()

    def offer(self, message: Received) -> bool:
        """Add a message where there is room, or drop it; return whether it was added."""
        size, name = _size(message), _account_of(message.topic)
        with self._ready:
            account = self._accounts.get(name)
            # One message always fits: else one larger than a limit would never be seen, and never be refused.
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
        """Return a word, or the message whose turn it is: the first of a batch, which `take` goes on with.

        Raises queue.Empty when nothing comes within `timeout_s` seconds.
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
        """Return what is there, without waiting, until it is as much work as `most` usual ones or has `most_bytes`."""
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
        """Take that storing this batch took so many seconds of the processor; whose messages take long, rests as long.

        Each message of a batch counts the same, so that a gate with one of two hundred hardly rests. Turns alone would not
        do: an entry that makes thousands of sessions be looked at again takes as long as a thousand usual ones.
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
        """Let those have a turn again who have rested; the lock is held."""
        for name in [name for name, until_s in self._resting.items() if until_s <= now_s]:
            del self._resting[name]
            if name in self._accounts:
                self._turns.append(name)

    def _next(self) -> Received:
        """Return the message whose turn it is; the lock is held, and there is one."""
        name = self._turns[0]
        account = self._accounts[name]
        while account.credit <= 0:  # a message larger than a turn, which costs the turns after it
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
        """Let an account rest once the batch holds as many of its messages as it may; `stored` says until when."""
        self._taken[name] += 1
        if self._taken[name] >= self._most[name]:
            self._rest(name, 0.0)

    def _rest(self, name: str, until_s: float) -> None:
        """Give an account no turn before then; the lock is held."""
        self._resting[name] = until_s
        with contextlib.suppress(ValueError):  # it has nothing waiting, or rests already
            self._turns.remove(name)

    @property
    def is_flooded(self) -> bool:
        """Whether an account sends more than one may, and something of it still waits."""
        return bool(self._flooding)

    @property
    def has_refused(self) -> bool:
        """Whether `refused` has gates to return."""
        return bool(self._refused)

    def refused(self) -> set[str]:
        """Return the gates that were refused for what they sent themselves, since this was asked last."""
        with self._ready:
            found, self._refused = self._refused, set()
        return {name.rpartition("/")[2] for name in found}

    @property
    def count(self) -> int:
        """How many messages and words wait."""
        return self._count + len(self._words)

    @property
    def bytes(self) -> int:
        """How many bytes the waiting messages take."""
        return self._bytes


def _size(message: Received) -> int:
    return len(message.body) + len(message.topic) + OVERHEAD_BYTES


def _work(message: Received) -> int:
    """Return as how many usual messages this one counts in a batch."""
    if message.seq == "1" or message.topic.endswith("/journal/forked"):
        return BEGINNING
    return BEGINNING if message.seq is None and not message.topic.endswith("/state") else 1


@lru_cache(4096)
def _account_of(topic: str) -> str:
    """Return whose messages a topic carries: its part up to the gate, which the broker's access list holds accounts to."""
    return "/".join(topic.split("/", 4)[:4])

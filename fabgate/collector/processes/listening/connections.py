"""Limits the web server's connections, and the time that a client may take.

A request must be complete within seconds, or its connection is closed. If there are too many connections, one that waits
for its client is closed for a new one, so that gates get through while other clients keep theirs open. With TLS
(handshakes.py) all this holds from the moment at which a connection is accepted.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
from collections import Counter
from enum import IntEnum
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from fabgate.collector.ground.base import logs

_refused = logs.Seldom(logging.getLogger(__name__))

#: Seconds to wait: for the end of a TLS handshake, for the answer when we end TLS, for the head of a request, for its body
#: (5 MB over a slow line), for the next request, and for a browser that does not read.
HANDSHAKE_S: Final = 10.0
GOODBYE_S: Final = 5.0
HEAD_S: Final = 10.0
BODY_S: Final = 120.0
IDLE_S: Final = 30.0
READ_S: Final = 60.0
#: Connections younger than this, in seconds, are not closed for others of their address.
GRACE_S: Final = 1.0
#: Connections at once, in total and from one address: a school with one address may have a hundred browsers with a few
#: connections each.
MOST: Final = 1_000
MOST_OF_ADDRESS: Final = 400
#: The same for port 80, which has room of its own, so that nobody takes that of the pages there. Two files each.
MOST_OF_PORT_80: Final = 100
#: The part of the room that handshakes may take from what waits for requests: a quarter.
_HANDSHAKES: Final = 4
#: How many new connections are accepted at once. A few for port 80: an address that floods it then waits, and the pages do not.
BACKLOG: Final = 256
BACKLOG_OF_PORT_80: Final = 16
#: Open files: of a connection with an event stream (its own, and three of SQLite), and of everything else.
_FILES_EACH: Final = 4
_OTHER_FILES: Final = 400
_BUSY_TEXT: Final = b"Too many connections. Try again shortly.\n"
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_BUSY_TEXT), _BUSY_TEXT)
)
_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Phase(IntEnum):
    """What a connection waits for. Of an address, those in lower phases are closed first."""

    HANDSHAKE = 0
    IDLE = 1
    HEAD = 2
    BODY = 3
    READ = 4
    ANSWER = 5


#: Connections by address.
_Groups = dict[str, dict["Connection", None]]


class Guard:
    """The connections of one server.

    If there is no room for a new one, the address that has most of what waits loses the one that has waited longest: nobody
    shuts out others by opening connections, whether they end their handshakes or not. Handshakes and requests are
    weighed apart, and a quarter of the room is for handshakes.
    """

    def __init__(self, proxies: str, *, most: int | None = None) -> None:
        """Limit connections to `most`, by default to MOST or what the limit of open files allows."""
        self._most, self._most_of_address = most or min(MOST, _max_connections()), MOST_OF_ADDRESS
        self._is_any_proxy = "*" in proxies
        self._proxies = [
            ipaddress.ip_network(network.strip()) for network in proxies.split(",") if network.strip() not in {"*", ""}
        ]
        self._open: dict[Connection, str] = {}
        self._of: Counter[str] = Counter()
        #: Those in a handshake, and those that wait for the rest of a request or the next one: for each address, in the
        #: order in which their wait began.
        self._shaking: _Groups = {}
        self._waiting: _Groups = {}

    def __len__(self) -> int:
        """Return how many connections there are, those in a handshake included."""
        return len(self._open)

    def admit(self, new: Connection) -> bool:
        """Admit a new connection, closing another if necessary; return False if none can be closed."""
        address = new.client[0] if new.client else ""
        if self._of[address] >= self._most_of_address and not self._is_proxy(address):
            room = self._end_one(address, self._most_of_address, *(_only(address, one) for one in self._groups))
        else:
            room = len(self._open) < self._most or self._end_one(address, self._most, *self._groups)
        if room:
            self._open[new] = address
            self._of[address] += 1
        return room

    def note(self, one: Connection) -> None:
        """Note that a connection waits for something else now."""
        address = self._open.get(one)
        if address is not None:
            self._remove(one, address)
            if one.phase is not Phase.ANSWER:
                groups = self._shaking if one.phase is Phase.HANDSHAKE else self._waiting
                groups.setdefault(address, {})[one] = None

    def forget(self, gone: Connection) -> None:
        """Remove a connection that has ended."""
        address = self._open.pop(gone, None)
        if address is not None:
            self._remove(gone, address)
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    @property
    def _groups(self) -> tuple[_Groups, _Groups]:
        return self._shaking, self._waiting

    def _remove(self, one: Connection, address: str) -> None:
        for groups in self._groups:
            if address in groups:
                groups[address].pop(one, None)
                if not groups[address]:
                    del groups[address]

    def _end_one(self, own: str, most: int, shaking: _Groups, waiting: _Groups) -> bool:
        """Close one of these connections for a new one of the address `own`; return False if none can be closed."""
        victim = None
        if waiting and sum(map(len, shaking.values())) * _HANDSHAKES < most:
            # An address gets none of its own closed that are young: during a rush they are about to send.
            busiest = _largest(waiting)
            before_s = asyncio.get_running_loop().time() - (GRACE_S if busiest == own else 0.0)
            old = (one for one in waiting[busiest] if one.since_s <= before_s)
            victim = min(old, key=lambda one: one.phase, default=None)
        if victim is None and shaking:
            # Even a young one: an address with many handshakes may begin new ones all the time.
            victim = next(iter(shaking[_largest(shaking)]))
        if victim is None:
            return False
        self.forget(victim)
        victim.abort()
        return True

    def end_handshakes(self) -> None:
        """Close what is in a handshake: since Python 3.12 a server ends only after all that it has accepted."""
        for one in [one for group in self._shaking.values() for one in group]:
            one.abort()

    def _is_proxy(self, address: str) -> bool:
        """Return whether many clients share this address: a trusted proxy, which has to limit them itself."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return self._is_any_proxy
        return self._is_any_proxy or any(found in network for network in self._proxies)


def _only(address: str, groups: _Groups) -> _Groups:
    return {address: groups[address]} if address in groups else {}


def _largest(groups: _Groups) -> str:
    return max(groups, key=lambda address: len(groups[address]))


def _max_connections() -> int:
    """Return how many connections fit this process's limit of open files, which it raises as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST * _FILES_EACH + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST
    soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(soft - _OTHER_FILES, soft // 2) // _FILES_EACH


def _client(transport: asyncio.Transport) -> tuple[str, int] | None:
    """Return the address and port of the other end; an IPv4 address as such, also where one socket serves both kinds."""
    found = get_remote_addr(transport)
    return (found[0].removeprefix("::ffff:"), found[1]) if found and "." in found[0] else found


class Connection(H11Protocol):
    """uvicorn's connection with time limits: it would wait forever for the head and body of a request."""

    guard: Guard

    def __init__(self, *args: Any, **named: Any) -> None:
        """Prepare a connection without data."""
        super().__init__(*args, **named)
        self.phase = Phase.HEAD
        self.since_s = self.loop.time()
        #: What is below TLS, while the handshake lasts.
        self._below: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_shaking(self) -> bool:
        """Whether its handshake goes on."""
        return self.phase is Phase.HANDSHAKE

    def accept(self, below: asyncio.Transport) -> bool:
        """Begin a handshake if the guard admits the connection; `connection_made` follows when it is done."""
        self._below = below
        self.client = _client(below)
        if self.guard.admit(self):
            self._enter(Phase.HANDSHAKE)
            return True
        _refused("a connection from %s was refused: too many are open", self.client)
        below.abort()
        return False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start reading if the guard admits the connection."""
        super().connection_made(transport)
        self.client = _client(transport)
        if self.is_shaking or self.guard.admit(self):
            self._below = None
            self._enter(Phase.HEAD)
        else:
            _refused("a connection from %s was refused: too many are open", self.client)
            self.phase = Phase.ANSWER
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self.guard.forget(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close at once, and send nothing."""
        (self._below or self.transport).abort()

    def data_received(self, data: bytes) -> None:
        """Process data, unless the connection is closing."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._update_phase()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._update_phase()

    def pause_writing(self) -> None:
        """Wait, for a limited time, for a browser that does not read."""
        super().pause_writing()
        self._enter(Phase.READ)

    def resume_writing(self) -> None:
        """Go on: the browser reads again."""
        super().resume_writing()
        self._update_phase()

    def _update_phase(self) -> None:
        """Determine what the connection waits for now, and restart the timer if that has changed."""
        if self.flow.write_paused:
            return
        reading = self.conn.their_state
        if reading is h11.SEND_BODY:
            phase = Phase.BODY
        elif reading is not h11.IDLE:
            phase = Phase.ANSWER
        else:
            is_begun = bool(self.conn.trailing_data[0]) or self.cycle is None
            phase = Phase.HEAD if is_begun else Phase.IDLE
        if phase is not self.phase:
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since_s = phase, self.loop.time()
        self.guard.note(self)
        if self._timer is not None:
            self._timer.cancel()
        limit_s = {Phase.HEAD: HEAD_S, Phase.BODY: BODY_S, Phase.IDLE: IDLE_S, Phase.READ: READ_S}.get(phase)
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self._end)

    def _end(self) -> None:
        """Close a connection that has waited too long."""
        if self.phase is Phase.READ:
            self.transport.abort()
        if self.transport.is_closing():
            return
        is_answered = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.phase is not Phase.IDLE and not is_answered:
            self.transport.write(_LATE)
        self.transport.close()

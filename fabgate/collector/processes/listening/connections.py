"""Limits the web server's connections, and the time that a client may take.

A request must be complete within seconds, or its connection is closed. If there are too many connections, the one that
has waited longest for its request is closed for a new one, so that gates get through while other clients keep theirs
open. With TLS (handshakes.py) the same holds from the moment at which a connection is accepted: those in a handshake end
first, beginning with the address that has most of them, so that nobody can shut out others by opening connections.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from fabgate.collector.ground.base import logs

_refused = logs.Seldom(logging.getLogger(__name__))

#: Seconds to wait: for the end of a TLS handshake, for the answer to its end, for the head of a request, for its body (5 MB over a slow line), for the next request, and for a
#: browser that does not read.
HANDSHAKE_S: Final = 10.0
GOODBYE_S: Final = 5.0
HEAD_S: Final = 10.0
BODY_S: Final = 120.0
IDLE_S: Final = 30.0
READ_S: Final = 60.0
#: Connections younger than this, in seconds, are not closed for others: during a rush they are about to send.
GRACE_S: Final = 1.0
#: Connections at once, in total and from one address: a school with one address may have a hundred browsers with a few
#: connections each.
MOST: Final = 1_000
MOST_OF_ADDRESS: Final = 400
#: How many new connections are accepted at once.
BACKLOG: Final = 256
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
    """What a connection waits for. Those in lower phases are closed first."""

    HANDSHAKE = 0
    IDLE = 1
    HEAD = 2
    BODY = 3
    ANSWER = 4


class Guard:
    """The connections of one server."""

    def __init__(self, proxies: str) -> None:
        self._most, self._most_of_address = min(MOST, _max_connections()), MOST_OF_ADDRESS
        self._is_any_proxy = "*" in proxies
        self._proxies = [
            ipaddress.ip_network(network.strip()) for network in proxies.split(",") if network.strip() not in {"*", ""}
        ]
        self._open: dict[Connection, str] = {}
        #: The same by address, and those in a handshake by address, each from the oldest to the newest.
        self._of: dict[str, dict[Connection, None]] = {}
        self._shaking: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        """Return how many connections there are, those in a handshake included."""
        return len(self._open)

    def admit(self, new: Connection) -> bool:
        """Admit a new connection, closing another if necessary; return False if none has waited long enough."""
        address = new.client[0] if new.client else ""
        if len(self._of.get(address, ())) >= self._most_of_address and not self._is_proxy(address):
            room = _end_one([self._shaking.get(address, {})], self._of[address])
        else:
            room = len(self._open) < self._most or _end_one(self._shaking.values(), self._open)
        if room:
            self._open[new] = address
            self._of.setdefault(address, {})[new] = None
            if new.phase is Phase.HANDSHAKE:
                self._shaking.setdefault(address, {})[new] = None
        return room

    def has_shaken(self, one: Connection) -> None:
        """Note the end of a connection's handshake."""
        _remove(self._shaking, self._open.get(one, ""), one)

    def forget(self, gone: Connection) -> None:
        """Remove a connection that has ended."""
        address = self._open.pop(gone, None)
        if address is not None:
            _remove(self._of, address, gone)
            _remove(self._shaking, address, gone)

    def _is_proxy(self, address: str) -> bool:
        """Return whether many clients share this address: a trusted proxy, which has to limit them itself."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return self._is_any_proxy
        return self._is_any_proxy or any(found in network for network in self._proxies)


def _remove(groups: dict[str, dict[Connection, None]], address: str, one: Connection) -> None:
    group = groups.get(address, {})
    group.pop(one, None)
    if not group:
        groups.pop(address, None)


def _end_one(shaking: Collection[Mapping[Connection, None]], among: Collection[Connection]) -> bool:
    """Close a connection for another: the oldest handshake of the address with most of them, or else the oldest.

    An address with many handshakes so closes its own, however young they are; it may open new ones all the time.
    """
    busiest = max(shaking, key=len, default={})
    if not busiest:
        return _end_oldest(among)
    _end(next(iter(busiest)))
    return True


def _end_oldest(among: Collection[Connection]) -> bool:
    """Close the connection that has waited longest for its client; return False if none has waited long enough."""
    before_s = asyncio.get_running_loop().time() - GRACE_S
    waiting = [
        connection for connection in among if connection.phase is not Phase.ANSWER and connection.since_s <= before_s
    ]
    if not waiting:
        return False
    _end(min(waiting, key=lambda connection: (connection.phase, connection.since_s)))
    return True


def _end(one: Connection) -> None:
    one.guard.forget(one)
    one.abort()


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
        self._unread_timer: asyncio.TimerHandle | None = None

    @property
    def is_shaking(self) -> bool:
        """Whether its handshake goes on."""
        return self.phase is Phase.HANDSHAKE

    def accept(self, below: asyncio.Transport) -> bool:
        """Begin a handshake if the guard admits the connection; `connection_made` follows when it is done."""
        self._below, self.phase = below, Phase.HANDSHAKE
        self.client = _client(below)
        if self.guard.admit(self):
            return True
        _refused("a connection from %s was refused: too many are open", self.client)
        below.abort()
        return False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start reading if the guard admits the connection."""
        super().connection_made(transport)
        self.client = _client(transport)
        if self.phase is Phase.HANDSHAKE:
            self._below = None
            self.guard.has_shaken(self)
            self._enter(Phase.HEAD)
        elif self.guard.admit(self):
            self._enter(Phase.HEAD)
        else:
            _refused("a connection from %s was refused: too many are open", self.client)
            self.phase = Phase.ANSWER
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self.guard.forget(self)
        for timer in (self._timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
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
        self._unread_timer = self.loop.call_later(READ_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the time limit: the browser reads again."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _update_phase(self) -> None:
        """Determine what the connection waits for now, and restart the timer if that has changed."""
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
        if self._timer is not None:
            self._timer.cancel()
        limit_s = {Phase.HEAD: HEAD_S, Phase.BODY: BODY_S, Phase.IDLE: IDLE_S}.get(phase)
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self._end)

    def _end(self) -> None:
        """Close a connection that has waited too long."""
        if self.transport.is_closing():
            return
        is_answered = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.phase is not Phase.IDLE and not is_answered:
            self.transport.write(_LATE)
        self.transport.close()

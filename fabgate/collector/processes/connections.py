"""How many connections does the web server keep, and for how long does it wait for what was begun?

A request is to be whole within seconds, or its connection ends. Where there are too many connections, the one that has
waited longest for its request makes room for the newest, so that a gate is let in while others only hold theirs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import resource
from enum import IntEnum
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from fabgate.collector.base import logs

_refused = logs.Seldom(logging.getLogger(__name__))

#: Seconds: for the head of a request, for its body (5 MB over a slow line), for what is asked for next, and for a
#: browser that takes nothing of what it is sent.
HEAD_S: Final = 10.0
BODY_S: Final = 120.0
IDLE_S: Final = 30.0
TAKE_S: Final = 60.0
#: So long nobody has to make room: in a crowd those who have just come are about to send.
GRACE_S: Final = 1.0
#: At once, of all and of one address: a school behind one address has a hundred browsers with a few each.
MOST: Final = 1_000
MOST_OF_ADDRESS: Final = 400
#: So many are taken at once, before any of them is looked at.
BACKLOG: Final = 256
#: Open files: of a connection whose page is open (its own, and three of SQLite), and of everything else.
_FILES_EACH: Final = 4
_OTHER_FILES: Final = 400
_BUSY_TEXT: Final = b"Too many connections. Try again shortly.\n"
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 5\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_BUSY_TEXT), _BUSY_TEXT)
)
_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Phase(IntEnum):
    """What a connection waits for. The lower, the sooner it makes room for another."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    ANSWER = 3


class Guard:
    """The connections of one server."""

    def __init__(self, proxies: str) -> None:
        self._most, self._most_of_address = min(MOST, _room()), MOST_OF_ADDRESS
        self._is_any_proxy = "*" in proxies
        self._proxies = [ipaddress.ip_network(one.strip()) for one in proxies.split(",") if one.strip() != "*"]
        self._open: dict[Connection, str] = {}

    def let_in(self, new: Connection) -> bool:
        """Make room for a new connection and keep it; False where no other has waited for long."""
        address = new.client[0] if new.client else ""
        own = [one for one, its in self._open.items() if its == address]
        if len(own) >= self._most_of_address and not self._is_proxy(address):
            room = _end_one(own)
        else:
            room = len(self._open) < self._most or _end_one(list(self._open))
        if room:
            self._open[new] = address
        return room

    def forget(self, gone: Connection) -> None:
        """Keep a connection no more that has ended."""
        self._open.pop(gone, None)

    def _is_proxy(self, address: str) -> bool:
        """Return whether many come by this address: a proxy that is trusted to bound what it hands on."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return self._is_any_proxy
        return self._is_any_proxy or any(found in network for network in self._proxies)


def _end_one(among: list[Connection]) -> bool:
    """End the connection that has waited longest for what it is to send; False where none has for long."""
    before_s = asyncio.get_running_loop().time() - GRACE_S
    waiting = [one for one in among if one.phase is not Phase.ANSWER and one.since_s <= before_s]
    if not waiting:
        return False
    oldest = min(waiting, key=lambda one: (one.phase, one.since_s))
    oldest.guard.forget(oldest)
    oldest.transport.abort()
    return True


def _room() -> int:
    """Return for how many connections this process has files, after it has asked for as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST * _FILES_EACH + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST
    soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(soft - _OTHER_FILES, soft // 2) // _FILES_EACH


class Connection(H11Protocol):
    """uvicorn's, which waits for the head and the body of a request for ever."""

    guard: Guard

    def __init__(self, *args: Any, **named: Any) -> None:
        """Begin with nothing read."""
        super().__init__(*args, **named)
        self.phase = Phase.HEAD
        self.since_s = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin, where there is room."""
        super().connection_made(transport)
        if self.guard.let_in(self):
            self._enter(Phase.HEAD)
        else:
            _refused("a connection from %s was refused: too many are open", self.client)
            self.phase = Phase.ANSWER
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.guard.forget(self)
        for timer in (self._timer, self._taking):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is ending."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Wait for a browser that takes nothing, but not for ever."""
        super().pause_writing()
        self._taking = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it takes something."""
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _look(self) -> None:
        """Note what is waited for now, and begin to count where that is something else than before."""
        reading = self.conn.their_state
        if reading is h11.SEND_BODY:
            found = Phase.BODY
        elif reading is not h11.IDLE:
            found = Phase.ANSWER
        else:
            is_begun = bool(self.conn.trailing_data[0]) or self.cycle is None
            found = Phase.HEAD if is_begun else Phase.IDLE
        if found is not self.phase:
            self._enter(found)

    def _enter(self, phase: Phase) -> None:
        self.phase, self.since_s = phase, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
        limit_s = {Phase.HEAD: HEAD_S, Phase.BODY: BODY_S, Phase.IDLE: IDLE_S}.get(phase)
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self._end)

    def _end(self) -> None:
        """End what was begun too long ago."""
        if self.transport.is_closing():
            return
        is_answered = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.phase is not Phase.IDLE and not is_answered:
            self.transport.write(_LATE)
        self.transport.close()

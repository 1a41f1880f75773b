"""TLS of a connection, from its first byte on: asyncio would tell us of a connection only once its handshake is done.

Half-open connections count for the limits of connections.py, and have a time limit. A handshake costs a processor about
a millisecond, so their steps are done one by one between other work, and addresses take turns: an address that begins a
hundred at once delays those of the others by one step.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections import deque
from collections.abc import Callable

from fabgate.collector.processes.listening.connections import GOODBYE_S, HANDSHAKE_S, Connection


class Turns:
    """Does one step of a handshake in each round of the event loop, of one address after the other."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

    def take(self, address: str, step: Callable[[], None]) -> None:
        """Do a step when it is this address's turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        self._waiting.setdefault(address, deque()).append(step)

    def _next(self) -> None:
        address = next(iter(self._waiting))
        queue = self._waiting.pop(address)
        step = queue.popleft()
        if queue:
            self._waiting[address] = queue  # behind the others
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
        step()


class Door(SSLProtocol):
    """TLS below a connection."""

    #: The buffer of each connection, in bytes: two records of TLS. That of asyncio has 256 KiB, which would be 250 MB for
    #: a thousand connections.
    max_size = 32 * 1024

    def __init__(self, connection: Connection, context: ssl.SSLContext, turns: Turns) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            None,  # type: ignore[arg-type]  # asyncio's future; `connection_made` says when the handshake is done
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_S,  # type: ignore[arg-type]  # any number
            ssl_shutdown_timeout=GOODBYE_S,
        )
        self._connection, self._turns = connection, turns
        self._below: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake if there is room."""
        assert isinstance(transport, asyncio.Transport)
        if self._connection.accept(transport):
            self._below = transport
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection, which hears of its end only if its handshake was done."""
        self._connection.guard.forget(self._connection)
        super().connection_lost(exc)

    def buffer_updated(self, nbytes: int) -> None:
        """Process what has come; a step of a handshake waits for its turn, and nothing is read until then."""
        below = self._below
        if below is None or not self._connection.is_shaking:
            super().buffer_updated(nbytes)
            return

        def step() -> None:
            if not below.is_closing():
                below.resume_reading()
                SSLProtocol.buffer_updated(self, nbytes)

        below.pause_reading()
        address, _port = self._connection.client or ("", 0)
        self._turns.take(address, step)

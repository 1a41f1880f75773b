"""Clients that keep connections to a server with TLS busy, from several addresses of this computer, and ask for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from itertools import count
from typing import Final

#: How many addresses of 127.0.0.0/8 they have.
ADDRESSES: Final = 8
WAIT_S: Final = 30.0
#: How often a client that trickles sends a byte, in seconds.
TRICKLE_S: Final = 0.2

_anyone = ssl.create_default_context()
_anyone.check_hostname, _anyone.verify_mode = False, ssl.CERT_NONE
_sources = count()
#: How many connections are open now, and how many were opened.
_open, _opened = 0, 0


def come(how: str, port: int, clients: int) -> None:
    """Let clients connect, again and again; return when all are there. `how` is half_open, trickle, begin or handshakes."""
    act = {"half_open": _half_open, "trickle": _trickle, "begin": _begin, "handshakes": _handshake}[how]

    async def run() -> None:
        await asyncio.gather(*(_again_and_again(act, port) for _ in range(clients)))

    threading.Thread(target=asyncio.run, args=(run(),), daemon=True).start()
    until = time.monotonic() + WAIT_S
    while (_open if how in {"half_open", "trickle"} else _opened) < clients:
        if time.monotonic() > until:
            raise TimeoutError(f"{_open} connections of {clients} after {WAIT_S:.0f} s")
        time.sleep(0.01)


def opened() -> int:
    """Return how many connections were opened so far."""
    return _opened


async def _again_and_again(act: Callable[[int, str], Awaitable[None]], port: int) -> None:
    while True:
        with contextlib.suppress(OSError):  # the server has closed it
            await act(port, f"127.0.0.{2 + next(_sources) % ADDRESSES}")
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def _connected(
    port: int, source: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    global _open, _opened
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0), ssl=tls)
    _open, _opened = _open + 1, _opened + 1
    try:
        yield reader, writer
    finally:
        _open -= 1
        writer.transport.abort()


async def _half_open(port: int, source: str) -> None:
    async with _connected(port, source) as (reader, _writer):
        await reader.read()


async def _trickle(port: int, source: str) -> None:
    async with _connected(port, source) as (reader, writer):
        for byte in _hello():
            writer.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), TRICKLE_S)
                return


async def _begin(port: int, source: str) -> None:
    async with _connected(port, source) as (reader, writer):
        writer.write(_hello())
        await reader.read(1)  # the server has computed its answer


async def _handshake(port: int, source: str) -> None:
    async with _connected(port, source, _anyone):
        pass


@cache
def _hello() -> bytes:
    """Return the first message of a handshake."""
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        _anyone.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()

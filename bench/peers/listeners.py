"""Many pages that listen for events, without browsers: sockets that record when each pulse arrived."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

#: For each page (moment, pulse).
_heard: list[list[tuple[float, int]]] = []


def listen(port: int, cookies: Sequence[str]) -> None:
    """Connect a page for each Cookie header; return when all listen."""
    up = threading.Semaphore(0)
    _heard.extend([] for _ in cookies)

    async def run() -> None:
        await asyncio.gather(*(_page(port, cookie, heard, up) for cookie, heard in zip(cookies, _heard, strict=True)))

    threading.Thread(target=asyncio.run, args=(run(),), daemon=True).start()
    for _ in cookies:
        if not up.acquire(timeout=30):
            raise TimeoutError("not every page listens")


def heard() -> list[list[tuple[float, int]]]:
    """Return what arrived on each page since the last call."""
    found = [list(page) for page in _heard]
    for page, taken in zip(_heard, found, strict=True):
        del page[: len(taken)]
    return found


async def _page(port: int, cookie: str, heard: list[tuple[float, int]], up: threading.Semaphore) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /floor/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise ConnectionError(f"/floor/events was answered with {status!r}")
    newest = 0
    while line := await reader.readline():
        if line.startswith(b"id: "):
            newest = int(line[4:])
        elif line.startswith(b"event: pulse"):
            heard.append((time.time(), newest))
        elif line.startswith(b"event: hello"):
            up.release()

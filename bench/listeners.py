"""Many pages that listen for events, without browsers: sockets that record when each pulse arrived.

``python -m bench.listeners PORT`` reads one line of JSON, the Cookie headers, connects and prints ``ready``. Each further
line is answered with what arrived since: for each page a list of (moment, pulse).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def listen(port: int, cookie: str, heard: list[tuple[float, int]], up: asyncio.Semaphore) -> None:
    """Record what one page receives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /floor/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
    status = await reader.readline()
    if b" 200 " not in status:
        sys.exit(f"/floor/events was answered with {status!r}")
    newest = 0
    while line := await reader.readline():
        if line.startswith(b"id: "):
            newest = int(line[4:])
        elif line.startswith(b"event: pulse"):
            heard.append((time.time(), newest))
        elif line.startswith(b"event: hello"):
            up.release()


async def main() -> None:
    """Listen until stdin ends."""
    cookies = json.loads(sys.stdin.readline())
    heard: list[list[tuple[float, int]]] = [[] for _ in cookies]
    up = asyncio.Semaphore(0)
    tasks = [
        asyncio.create_task(listen(int(sys.argv[1]), cookie, one, up))
        for cookie, one in zip(cookies, heard, strict=True)
    ]
    for _ in tasks:
        await up.acquire()
    print("ready", flush=True)
    while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        print(json.dumps(heard), flush=True)
        for one in heard:
            one.clear()


if __name__ == "__main__":
    asyncio.run(main())

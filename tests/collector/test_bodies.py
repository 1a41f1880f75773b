"""What is larger than any list of people is neither read nor put on the disk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fabgate.collector.bodies import MAX_BYTES, bounded


class Server:
    """Sends a body in parts, as a browser does, and keeps what is answered."""

    def __init__(self, *parts: int) -> None:
        self.parts = list(parts)
        self.answered: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        part = self.parts.pop(0)
        return {"type": "http.request", "body": bytes(part), "more_body": bool(self.parts)}

    async def send(self, message: dict[str, Any]) -> None:
        self.answered.append(message)


class App:
    """Reads everything, as Django does."""

    def __init__(self) -> None:
        self.read = 0
        self.is_aborted = False

    async def __call__(self, _scope: Any, receive: Any, _send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.is_aborted = True
                return
            self.read += len(message["body"])
            if not message["more_body"]:
                return


def ask(server: Server, *headers: tuple[bytes, bytes]) -> App:
    app = App()
    asyncio.run(bounded(app)({"type": "http", "headers": list(headers)}, server.receive, server.send))
    return app


def test_what_fits_is_read():
    app = ask(Server(1000, MAX_BYTES - 1000), (b"content-length", str(MAX_BYTES).encode()))
    assert (app.read, app.is_aborted) == (MAX_BYTES, False)


@pytest.mark.parametrize("said", [str(MAX_BYTES + 1).encode(), b"9" * 50, b"-1", b"x"])
def test_what_says_that_it_is_too_large_is_answered_unread(said):
    server = Server(10)
    app = ask(server, (b"content-length", said))
    assert (server.answered[0]["status"], app.read, server.parts) == (413, 0, [10])


def test_what_does_not_say_and_becomes_too_large_is_hung_up_on():
    server = Server(*[1024 * 1024] * 8)
    app = ask(server)
    assert app.is_aborted
    assert app.read <= MAX_BYTES

"""What is larger than any list of people is neither read nor put on the disk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fabgate.collector.ground.base.body_limit import MAX_BYTES, MAX_DISCARDED, bounded


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
        self.scope: dict[str, Any] | None = None

    async def __call__(self, scope: Any, receive: Any, _send: Any) -> None:
        self.scope = scope
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
    scope = {"type": "http", "method": "POST", "headers": list(headers)}
    asyncio.run(bounded(app)(scope, server.receive, server.send))
    return app


def test_what_fits_is_read():
    app = ask(Server(1000, MAX_BYTES - 1000), (b"content-length", str(MAX_BYTES).encode()))
    assert (app.read, app.is_aborted) == (MAX_BYTES, False)


@pytest.mark.parametrize("said", [str(MAX_BYTES + 1).encode(), b"9" * 50, b"-1", b"x"])
def test_a_body_declared_too_large_is_refused_unread(said):
    server = Server(10)
    app = ask(server, (b"content-length", said))
    assert (server.answered[0]["status"], app.read, server.parts) == (413, 0, [10])


def test_a_body_that_turns_out_too_large_closes_the_connection():
    server = Server(*[1024 * 1024] * 8)
    app = ask(server)
    assert app.is_aborted
    assert app.read <= MAX_BYTES


HTML = (b"accept", b"text/html,application/xhtml+xml")


def test_a_browser_sends_to_its_end_and_gets_a_page_of_the_same_address():
    server = Server(*[1024 * 1024] * 8)
    app = ask(server, (b"content-length", str(MAX_BYTES + 1).encode()), (b"content-type", b"x"), HTML)
    assert (server.parts, app.read, app.scope["method"]) == ([], 0, "GET")
    assert app.scope["headers"] == [HTML]


def test_a_far_too_large_body_is_not_read_to_its_end():
    part = 8 * 1024 * 1024
    server = Server(*[part] * (MAX_DISCARDED // part + 5))
    app = ask(server, (b"content-length", b"9" * 12), HTML)
    assert (server.answered[0]["status"], app.scope) == (413, None)
    assert server.parts

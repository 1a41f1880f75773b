"""Limits request bodies to the size of a list of people: Django stores uploads on disk before any check."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest

MEGABYTE: Final = 1024 * 1024
#: The largest accepted file: a list of members (members/people/import_list/table.py).
MAX_FILE_BYTES: Final = 5 * MEGABYTE
#: The same, with the form around it.
MAX_BYTES: Final = MAX_FILE_BYTES + MEGABYTE
#: A browser reads no answer while it is sending. Up to this many more bytes are read and dropped, so that it can show
#: the page.
MAX_DISCARDED: Final = 64 * MEGABYTE
_TEXT: Final = f"Too large: at most {MAX_FILE_BYTES // MEGABYTE} MB are accepted.\n".encode()
_REFUSED: Final = "fabgate.too_large"


def bounded(app: Any) -> Any:
    """Answer 413 to a request that declares too large a body; close the connection of one that turns out larger.

    Browsers get their answer from the app, which is called with an empty GET of the same address (`was_too_large`).
    """

    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > MAX_BYTES:
            if b"text/html" in headers.get(b"accept", b"") and await _discard(receive):
                await app(_refused(scope), _after_nothing(receive), send)
                return
            closing = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": closing})
            await send({"type": "http.response.body", "body": _TEXT})
            return
        so_far = 0

        async def receive_bounded() -> Any:
            nonlocal so_far
            message = await receive()
            so_far += len(message.get("body", b""))
            return {"type": "http.disconnect"} if so_far > MAX_BYTES else message

        await app(scope, receive_bounded, send)

    return call


def was_too_large(request: HttpRequest) -> bool:
    """Return whether this request replaces one whose body was refused."""
    return bool(getattr(request, "scope", {}).get(_REFUSED))


def _refused(scope: Any) -> Any:
    kept = [(name, value) for name, value in scope["headers"] if not name.startswith(b"content-")]
    return {**scope, "method": "GET", "headers": kept, _REFUSED: True}


async def _discard(receive: Any) -> bool:
    """Read the rest of the body and drop it; return False if it is far too large, or the browser has gone."""
    so_far = 0
    while so_far <= MAX_DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        so_far += len(message.get("body", b""))
        if not message.get("more_body"):
            return True
    return False


def _after_nothing(receive: Any) -> Any:
    """Return a `receive` for an app: an empty body, then the messages of the real connection."""
    was_sent = False

    async def receive_after() -> Any:
        nonlocal was_sent
        if was_sent:
            return await receive()
        was_sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive_after

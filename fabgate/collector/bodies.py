"""How much may a browser send? A list of people, and no more: Django puts whatever comes on the disk before it looks."""

from __future__ import annotations

from typing import Any, Final

#: A list of members (members_table.py) and the form around it.
MAX_BYTES: Final = 6 * 1024 * 1024
_TEXT: Final = b"Too large: at most 6 MB are taken.\n"


def bounded(app: Any) -> Any:
    """Answer 413 to what says that it is larger; hang up on what says nothing and becomes larger."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said[:20]) > MAX_BYTES:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
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

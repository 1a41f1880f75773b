"""The ASGI application of port 80."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from fabgate.collector.faces.pages.language import SPOKEN, preferred
from fabgate.collector.faces.port_80 import apt_folder
from fabgate.collector.faces.port_80.authority_page import AuthorityPage

APT: Final = "/apt/"
_HTML, _CSS, _TEXT = "text/html; charset=utf-8", "text/css; charset=utf-8", "text/plain; charset=utf-8"
#: Browsers install a certificate of this type, or offer to; no other one works on all of them.
_CERTIFICATE: Final = {"content-type": "application/x-x509-ca-cert"}
_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers with lower-case names, and a body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def _not_found(what: str = "Not found.") -> Answer:
    return Answer(404, f"{what}\n".encode(), {"content-type": _TEXT})


def application(*, ca: Path, apt: Path, site: str, address: str) -> Any:
    """Return the application; `ca` and `apt` may appear later. `address` is that of the pages."""
    page = AuthorityPage(ca, site, address)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await _send(send, Answer(405, b"Only GET.\n", {"content-type": _TEXT, "allow": "GET, HEAD"}), has_body=True)
            return
        has_body, headers = scope["method"] == "GET", _headers(scope["headers"])
        if scope["path"].startswith(APT):
            await _serve_file(apt, scope["path"].removeprefix(APT), headers, receive, send, has_body=has_body)
        else:
            await _send(send, _page(page, scope, headers), has_body=has_body)

    return app


def _page(page: AuthorityPage, scope: Any, headers: Mapping[str, str]) -> Answer:
    match scope["path"]:
        case "/":
            chosen = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[0]
            lang = chosen if chosen in SPOKEN else preferred(headers.get("accept-language", ""))
            more = {"content-type": _HTML, "content-language": lang, "vary": "accept-language"}
            return Answer(200, page.html(lang), more)
        case "/style.css":
            return Answer(200, page.style(), {"content-type": _CSS, "cache-control": "max-age=3600"})
        case name if name.startswith("/ca"):
            found = page.file(name.removeprefix("/"))
            return _not_found("There is no such certificate.") if found is None else Answer(200, found, _CERTIFICATE)
    return _not_found()


async def _serve_file(
    folder: Path, name: str, headers: Mapping[str, str], receive: Any, send: Any, *, has_body: bool
) -> None:
    file = await asyncio.to_thread(apt_folder.opened, folder, name)
    if file is None:
        await _send(send, _not_found(), has_body=has_body)
        return
    with file.open_file:
        if file.is_unchanged(headers.get("if-modified-since", "")):
            await _send(send, Answer(304, b"", file.headers), has_body=False)
            return
        about = {**file.headers, "content-length": str(file.size)}
        await _send_head(send, 200, about)
        left = file.size if has_body else 0
        gone = asyncio.create_task(_is_gone(receive))  # nobody tells `send`, which would take the whole file
        while left and not gone.done():
            data = await asyncio.to_thread(file.open_file.read, min(left, apt_folder.PIECE_BYTES))
            if not data:
                break
            left -= len(data)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        gone.cancel()
        await send({"type": "http.response.body", "body": b""})


async def _is_gone(receive: Any) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Any, answer: Answer, *, has_body: bool) -> None:
    length = {} if answer.status == 304 else {"content-length": str(len(answer.body))}
    await _send_head(send, answer.status, {**answer.headers, **length})
    await send({"type": "http.response.body", "body": answer.body if has_body else b""})


async def _send_head(send: Any, status: int, headers: Mapping[str, str]) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in {**_ALWAYS, **headers}.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}

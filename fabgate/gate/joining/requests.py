"""Sends the requests of a join to a collector whose certificate this gate cannot check yet: the exchange proves who it is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from fabgate.errors import FabgateError, UsageError
from fabgate.gate.roster import http_session
from fabgate.join import messages

#: How long a collector may be silent, and how long an answer may take, in seconds.
_SILENT_S: Final = 15.0
_WHOLE_S: Final = 30.0
#: The longest refusal that is shown, in characters. Somebody between gate and collector may have written it.
_SHOWN: Final = 300

#: Sends the body of a request to a path; returns the status of HTTP and the body of the answer. Raises OSError or UsageError
#: if no answer comes.
Post = Callable[[str, bytes], tuple[int, bytes]]
_Kind = TypeVar("_Kind", bound=Struct)


class RefusedError(UsageError):
    """The collector refuses this step, and will refuse it again."""


class LaterError(FabgateError):
    """The collector cannot answer now."""


def address_of(text: str) -> str:
    """Return the address of a collector, such as ``https://collector.lan``, which a person may type without its beginning.

    Raises UsageError.
    """
    whole = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(whole)
        host, _ = parts.hostname, parts.port  # an invalid port raises only here
    except ValueError:
        host = None
    is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username) if host else False
    if not is_plain or parts.scheme not in ("http", "https"):
        raise UsageError(f"found the address {text!r}, wanted the collector's, such as collector.local")
    return f"{parts.scheme}://{parts.netloc}"


def to(address: str) -> Post:
    """Return what sends requests to the collector at `address`."""

    def post(path: str, body: bytes) -> tuple[int, bytes]:
        url = f"{address}{path}"
        try:
            with http_session.session(_WHOLE_S) as http, warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Unverified HTTPS request")
                answer = http.post(
                    url,
                    data=body,
                    headers={"Content-Type": "application/json"},
                    timeout=_SILENT_S,
                    # Nothing that is sent can be read without the code (fabgate/join/exchange.py).
                    verify=False,
                    allow_redirects=False,
                    stream=True,
                )
                body = b""
                for chunk in answer.iter_content(16 * 1024):
                    body += chunk
                    if len(body) > messages.MAX_BYTES:
                        break  # `messages.decode` says that it is too long
                return answer.status_code, body
        except http_session.CutError:
            raise LaterError(f"{url}: found no complete answer after {_WHOLE_S:g} s; check the network") from None
        except OSError as error:
            raise LaterError(f"{url}: {http_session.no_answer(error, _SILENT_S, 'the command') or error}") from error

    return post


def ask(post: Post, path: str, message: Struct, kind: type[_Kind]) -> _Kind:
    """Send a message and return the answer. Raises RefusedError, LaterError, or UsageError for an invalid answer."""
    status, body = post(path, messages.encode(message))
    if status == 200:
        return messages.decode(body, kind)
    text = "".join(sign if sign.isprintable() else " " for sign in body.decode(errors="replace")[:_SHOWN]).strip()
    if 400 <= status < 500 and status != 429:
        raise RefusedError(f"the collector refuses: {text}")
    raise LaterError(f"found HTTP {status} ({text}), wanted 200; is this the address of the collector?")

"""Sends HTTP requests to the programs behind sinks, and classifies their answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests

import fabgate
from fabgate.collector.money.billing.sinks.contract import Later, Refused

#: Seconds to connect, and to wait for an answer.
TIMEOUT_S: Final = (5.0, 20.0)
#: Client errors that are not about an item: the URL, the key or the account is wrong, or the program needs time.
_NOT_THE_ITEMS: Final = frozenset({401, 402, 403, 404, 405, 407, 408, 410, 421, 423, 425, 426, 429, 451})
_SHOWN: Final = 200
#: The longest answer, in bytes and in seconds.
MOST_BYTES: Final = 1024 * 1024
LONGEST_S: Final = 60.0
#: So small, because the time is looked at after each block, and a block of an answer that drips may take long.
_BLOCK: Final = 16
#: Why there is no answer.
TIMED_OUT: Final = "no answer: timed out"
NO_CONNECTION: Final = "no answer: no connection, or it broke"
TOO_LONG: Final = "no answer: it is too long, or does not end"
WRONG_CERTIFICATE: Final = "no answer: the certificate is not valid"


class Program:
    """A program at a URL."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"User-Agent": f"fabgate/{fabgate.__version__}", **headers}

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        """Send a body. Raises Refused or Later."""
        return self._ask("POST", path, data=body, headers=headers)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an answer, or None if there is no such thing. Raises Later."""
        answer = self._ask("GET", path, params=params, headers={"Accept": "application/json"}, is_absent_known=True)
        if answer.status_code == requests.codes.not_found:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise Later(f"found an answer that is not JSON: {shown(answer)}") from error

    def _ask(self, method: str, path: str, *, is_absent_known: bool = False, **more: Any) -> requests.Response:
        headers = {**self._headers, **more.pop("headers")}
        try:
            with requests.Session() as session:
                session.trust_env = False  # no proxy and no .netrc of the account that it runs in
                answer = session.request(
                    method,
                    self._url + path,
                    headers=headers,
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                    stream=True,
                    **more,
                )
                _read(answer)
        except requests.RequestException as error:
            raise Later(_reason(error)) from error
        status = answer.status_code
        if 200 <= status < 300 or (is_absent_known and status == requests.codes.not_found):
            return answer
        if 400 <= status < 500 and status not in _NOT_THE_ITEMS:
            raise Refused(shown(answer), _json(answer))
        raise Later(shown(answer), _wait_s(answer))


def _read(answer: requests.Response) -> None:
    """Read an answer, but not one that is too long, or never ends. Raises Later."""
    found, until = bytearray(), time.monotonic() + LONGEST_S
    for block in answer.iter_content(_BLOCK):
        found += block
        if len(found) > MOST_BYTES or time.monotonic() > until:
            answer.close()
            raise Later(TOO_LONG)
    answer._content = bytes(found)  # noqa: SLF001 (what requests itself sets)


def shown(answer: requests.Response) -> str:
    """Return an answer for people: the status, and the start of the text on one line."""
    text = " ".join(answer.text[: 4 * _SHOWN].split())[:_SHOWN]
    return f"{answer.status_code} {answer.reason}{': ' if text else ''}{text}"


def _json(answer: requests.Response) -> Any:
    """Return the JSON of an answer, or None."""
    try:
        return answer.json()
    except ValueError:
        return None


def _wait_s(answer: requests.Response) -> float:
    """Return how many seconds the program asks to wait (RFC 9110, 10.2.3)."""
    asked = answer.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked[:9])
    try:
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _reason(error: requests.RequestException) -> str:
    """Return why there is no answer, without the address, which may name a secret."""
    if isinstance(error, requests.exceptions.SSLError):
        return WRONG_CERTIFICATE
    if isinstance(error, requests.exceptions.Timeout):
        return TIMED_OUT
    if isinstance(error, requests.exceptions.ConnectionError):
        return NO_CONNECTION
    return f"no answer: {type(error).__name__}"

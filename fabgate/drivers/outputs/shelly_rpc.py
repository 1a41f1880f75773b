"""Talks to a Shelly device of the second generation or later: one HTTP request, its digest, its answer.

From shelly-api-docs.shelly.cloud/gen2, "Authentication", "Shelly" and "Switch": digest of RFC 7616 with SHA-256 and the user
``admin``; the realm is the device's id, and ``Shelly.GetDeviceInfo`` needs no password. Firmware 2.0 counts the uses of a
nonce, forgets nonces, and then answers 401 with a new one, or 429 as long as an old one is sent (home-assistant/core issue
177257): so a nonce that was refused is not used again. The device closes each connection after its answer.

*Nothing is sent twice.* A request has a connection and a time of its own, and ends with an answer or an error. Only a 401 is
followed by the same request with another digest: the device has not carried it out. All parameters are in the address, which
the digest covers; it does not cover a body.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from fabgate.errors import HardwareError

USER: Final = "admin"
#: The longest answer that is read: a configuration has about 3 KB.
_MOST_BYTES: Final = 65_536
#: How often a request that waits looks whether it should hurry.
_SLICE_S: Final = 0.05
#: How long a request may still take once something more urgent waits.
HURRY_S: Final = 0.25
#: A connection that is closed with this is reset: what it had not sent yet is thrown away.
_RESET: Final = struct.pack("ii", 1, 0)
_CHALLENGE: Final = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


class NoAnswerError(HardwareError):
    """The device did not answer in time, or not in HTTP."""


class Answer(NamedTuple):
    """An answer of the device: the status code, the challenge of a 401, the body."""

    status: int
    challenge: str
    body: bytes


def digest(*parts: str) -> str:
    """Return the SHA-256 of parts between colons, as RFC 7616 has it."""
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


def authorization(ha1: str, realm: str, target: str, *, nonce: str, count: int, cnonce: str) -> str:
    """Return the header for a GET of `target`; `ha1` is the digest of user, realm and password."""
    response = digest(ha1, nonce, f"{count:08x}", cnonce, "auth", digest("GET", target))
    return (
        f'Digest username="{USER}", realm="{realm}", nonce="{nonce}", uri="{target}", algorithm=SHA-256, qop=auth,'
        f' nc={count:08x}, cnonce="{cnonce}", response="{response}"'
    )


def challenge(text: str) -> dict[str, str]:
    """Return the parameters of a WWW-Authenticate header by their names in small letters; {} if it is no digest."""
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() != "digest":
        return {}
    return {name.lower(): quoted or plain for name, quoted, plain in _CHALLENGE.findall(rest)}


class DeviceLink:
    """The way to one device. `device_id` is its id, and the only realm to which the password is proven."""

    def __init__(self, host: str, port: int, device_id: str, *, timeout_s: float) -> None:
        self.host = host
        self._port = port
        self.device_id = device_id
        self._timeout_s = timeout_s
        self._ha1 = ""
        self._nonce = ""
        self._count = 0
        #: Since when something more urgent than the current request waits (seconds of the monotonic clock), or None.
        self.hurried_s: float | None = None
        #: When an answer was first missing, or not the wanted one, since the identity was checked; None while none was.
        self.doubtful_since_s: float | None = time.monotonic()

    @property
    def is_unlocked(self) -> bool:
        """Whether it has a password."""
        return bool(self._ha1)

    def unlock(self, password: str) -> None:
        """Use this password from now on. It is not kept, and stands in no error."""
        self._ha1 = digest(USER, self.device_id, password)
        self._nonce = ""

    def call(
        self, method: str, parameters: Mapping[str, int] | None = None, *, may_lack: bool = False, is_open: bool = False
    ) -> Any:
        """Call a method and return its result; None where the device does not have it and `may_lack` is True.

        `is_open` is for a method that needs no password. Raises HardwareError when there is no answer in time, or not the
        one of this device; then nobody knows whether it was carried out.
        """
        try:
            return self._called(method, parameters or {}, may_lack=may_lack, is_open=is_open)
        except HardwareError:
            if self.doubtful_since_s is None:
                self.doubtful_since_s = time.monotonic()
            raise

    def _called(self, method: str, parameters: Mapping[str, int], *, may_lack: bool, is_open: bool) -> Any:
        target = f"/rpc/{method}"
        if parameters:
            target += "?" + "&".join(f"{name}={_plain(value)}" for name, value in parameters.items())
        until_s = time.monotonic() + self._timeout_s
        proof = self._proof(target)
        answer = self.exchange(target, proof, until_s)
        if answer.status == 401:
            self._accept(challenge(answer.challenge))
            proof = self._proof(target)
            answer = self.exchange(target, proof, until_s)
        if answer.status in (401, 429):
            self._nonce = ""
        if may_lack and (answer.status == 404 or b'"code":404' in answer.body.replace(b" ", b"")):
            return None
        if answer.status != 200:
            raise HardwareError(f"{self} refuses {method}: {_STATUS.get(answer.status, f'status {answer.status}')}")
        if not proof and not is_open:
            raise HardwareError(f"{self} answers without a password: set one on its page, Settings, Authentication")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise HardwareError(f"{self} answers {method} with something that is not JSON") from error

    def exchange(self, target: str, proof: str, until_s: float) -> Answer:
        """Send one GET over a new connection, and return the answer. Raises HardwareError."""
        head = f"GET {target} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n"
        head += f"Authorization: {proof}\r\n\r\n" if proof else "\r\n"
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
                self._connect(connection, until_s)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.settimeout(self._wait_s(until_s))
                connection.sendall(head.encode("ascii"))
                return _read(lambda: self._receive(connection, until_s))
        except (OSError, ValueError) as error:
            raise NoAnswerError(f"{self} does not answer ({_why(error)})") from error

    def _connect(self, connection: socket.socket, until_s: float) -> None:
        connection.setblocking(False)
        error = connection.connect_ex((self.host, self._port))
        if error == errno.EINPROGRESS:
            while not select.select((), (connection,), (), self._wait_s(until_s))[1]:
                pass
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))

    def _wait_s(self, until_s: float) -> float:
        """Return for how long to wait before looking again. Raises TimeoutError when there is no time left."""
        now_s = time.monotonic()
        if self.hurried_s is not None:
            until_s = min(until_s, self.hurried_s + HURRY_S)
        if now_s >= until_s:
            raise TimeoutError("no answer in time")
        return min(_SLICE_S, until_s - now_s)

    def _receive(self, connection: socket.socket, until_s: float) -> bytes:
        while True:
            connection.settimeout(self._wait_s(until_s))
            try:
                return connection.recv(_MOST_BYTES)
            except TimeoutError:
                continue

    def _proof(self, target: str) -> str:
        """Return the Authorization header, or "" where the device has given no nonce yet."""
        if not self._nonce or not self._ha1:
            return ""
        self._count += 1
        return authorization(
            self._ha1, self.device_id, target, nonce=self._nonce, count=self._count, cnonce=secrets.token_hex(8)
        )

    def _accept(self, found: dict[str, str]) -> None:
        """Take the nonce of a challenge. Raises HardwareError if it is not this device's."""
        if found.get("realm") != self.device_id:
            raise HardwareError(
                f"{self} asks for the password of {(found.get('realm') or 'nothing')[:60]}: another device has this address;"
                " correct output.host, and reserve the address in the router"
            )
        if found.get("algorithm", "").upper() != "SHA-256" or "auth" not in found.get("qop", "").split(","):
            raise HardwareError(f"{self} wants another authentication than a SHA-256 digest")
        self._nonce, self._count = found.get("nonce", ""), 0

    def __str__(self) -> str:
        return f"the plug {self.device_id} at {self.host}"


_STATUS: Final = {
    401: "the password is wrong (output.password_file)",
    429: "too many attempts to log in (429); it accepts others after a while",
    404: "it does not have it (404)",
}


def _read(receive: Callable[[], bytes]) -> Answer:
    """Read one answer. Raises ValueError or OSError for anything else."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end:
            status, headers = _parsed(head.decode("latin-1"))
            length = int(headers["content-length"]) if "content-length" in headers else None
            if length is not None and len(body) >= length >= 0:
                return Answer(status, headers.get("www-authenticate", ""), body[:length])
        part = receive()
        if not part:
            if end and length is None:
                return Answer(status, headers.get("www-authenticate", ""), body)
            raise ConnectionError("the connection ended before the answer")
        data += part
        if len(data) > _MOST_BYTES:
            raise ValueError("the answer is too long")


def _parsed(head: str) -> tuple[int, dict[str, str]]:
    first, *lines = head.split("\r\n")
    found = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: .*)?", first)
    if found is None:
        raise ValueError("the answer is not HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers:
        raise ValueError("the answer comes in chunks")
    return int(found[1]), headers


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

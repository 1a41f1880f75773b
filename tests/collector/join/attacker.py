"""A second implementation of both sides of a join, written from decision 148 and papers alone: nothing of fabgate is used.

SPAKE2 as the package ``spake2`` has it, on the group of Ed25519 (RFC 8032, section 5.1), with points in affine coordinates:
slow, and easy to compare with the paper.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(number: int, point: Point) -> Point:
    result = (0, 1)
    while number:
        if number & 1:
            result = add(result, point)
        point, number = add(point, point), number >> 1
    return result


def x_of(y: int) -> int | None:
    """Return the even x of a point, or None if y is not that of a point."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return P - x if x & 1 else x


def hkdf(content: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256 and without salt."""
    key = hmac.digest(bytes(32), content, "sha256")
    found, last = b"", b""
    while len(found) < length:
        last = hmac.digest(key, last + info + bytes([len(found) // 32 + 1]), "sha256")
        found += last
    return found[:length]


def generator(seed: bytes) -> Point:
    """Return a point of which nobody knows the logarithm."""
    y = int.from_bytes(hkdf(seed, b"SPAKE2 arbitrary element", 48), "big") % P
    while (x := x_of(y)) is None:
        y = (y + 1) % P
    return times(8, (x, y))


def packed(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def unpacked(content: bytes) -> Point:
    number = int.from_bytes(content, "little")
    y, is_odd = number & (1 << 255) - 1, number >> 255
    x = x_of(y)
    assert x is not None
    return (P - x if is_odd else x), y


_BASE_Y = 4 * pow(5, -1, P) % P
BASE = (x_of(_BASE_Y) or 0, _BASE_Y)
M, N = generator(b"M"), generator(b"N")


def number_of(password: str) -> int:
    return int.from_bytes(hkdf(password.encode(), b"SPAKE2 pw", 48), "big") % L


@dataclass
class Side:
    """One side of an exchange: `letter` is A for a gate, and B for a collector."""

    letter: bytes
    guess: str

    def __post_init__(self) -> None:
        self.own, self.other = (M, N) if self.letter == b"A" else (N, M)
        self.number = secrets.randbelow(L)
        self.message = self.letter + packed(add(times(self.number, BASE), times(number_of(self.guess), self.own)))

    def keys(self, name: str, exchange: str, theirs: bytes, *, tried: str | None = None) -> Keys:
        """Return what follows from the other side's message, for one's own guess or for another one that is tried later."""
        password = self.guess if tried is None else tried
        element = add(unpacked(theirs[1:]), times(L - number_of(password), self.other))
        shared = packed(times(self.number, element))
        gate, collector = (self.message, theirs) if self.letter == b"A" else (theirs, self.message)
        parts = (hashlib.sha256(part).digest() for part in (password.encode(), b"gate", b"collector"))
        key = hashlib.sha256(b"".join(parts) + gate[1:] + collector[1:] + shared).digest()
        text = b"\0".join((b"fabgate join 1", name.encode(), exchange.encode(), gate, collector))
        return Keys(hmac.digest(key, text, "sha256"))


@dataclass
class Keys:
    """The keys of an exchange."""

    secret: bytes

    def of(self, label: str) -> bytes:
        return hmac.digest(self.secret, label.encode(), "sha256")

    def proof(self, what: str) -> str:
        return self.of(what).hex()

    def _fernet(self, label: str) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.of(label)))

    def seal(self, label: str, content: Any) -> str:
        return self._fernet(label).encrypt(json.dumps(content).encode()).decode()

    def open(self, label: str, sealed: str) -> Any:
        """Return the content, or None if these keys do not open it."""
        try:
            return json.loads(self._fernet(label).decrypt(sealed.encode()))
        except InvalidToken:
            return None


def asked(**fields: Any) -> bytes:
    """Return the body of a request."""
    return json.dumps({name: _plain(value) for name, value in fields.items()}).encode()


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def message_in(body: bytes) -> bytes:
    """Return the message of SPAKE2 in a body."""
    return base64.b64decode(json.loads(body)["message"])

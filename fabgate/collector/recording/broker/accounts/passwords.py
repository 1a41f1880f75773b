"""Passwords of accounts at the broker, and what Mosquitto keeps of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Final

#: As Mosquitto's plugin does it. Our passwords are random, so nobody can try them all; and while the broker computes a
#: digest it serves nobody else: 1 ms with these iterations, 50 ms with 100,000.
ITERATIONS: Final = 101
_SALT_BYTES: Final = 12


def new_password() -> str:
    """Return a new password for an account at the broker."""
    return secrets.token_hex(24)


@dataclass(frozen=True, slots=True)
class Digest:
    """What the broker keeps of a password: salt and PBKDF2, both in base64."""

    salt: str
    digest: str
    iterations: int = ITERATIONS

    @classmethod
    def of(cls, password: str) -> Digest:
        """Return the digest of a password with a new salt."""
        salt = base64.b64encode(secrets.token_bytes(_SALT_BYTES)).decode()
        return cls(salt, _digest(password, salt, ITERATIONS))

    def is_of(self, password: str) -> bool:
        """Return whether this is the digest of `password`."""
        return hmac.compare_digest(self.digest, _digest(password, self.salt, self.iterations))

    def fields(self) -> dict[str, Any]:
        """Return the fields of an account in the plugin's file."""
        return {"salt": self.salt, "password": self.digest, "iterations": self.iterations}


def _digest(password: str, salt: str, iterations: int) -> str:
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(salt), iterations)
    return base64.b64encode(found).decode()

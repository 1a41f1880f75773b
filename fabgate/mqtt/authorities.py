"""The certificates of authorities in a file: found, written again, and named by their fingerprints.

Without the module `ssl`: a gate without TLS starts without it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
#: How each certificate begins (X.690, SEQUENCE).
_SEQUENCE: Final = b"\x30"
#: How many characters a line of PEM has (RFC 7468, 2).
_LINE: Final = 64


def certificates(text: str) -> list[bytes]:
    """Return the certificates in a text as DER, in their order, each once. What is no certificate is left out."""
    found: dict[bytes, None] = {}
    for match in _PEM.finditer(text):
        try:
            der = base64.b64decode("".join(match[1].split()), validate=True)
        except ValueError:
            continue
        if der.startswith(_SEQUENCE):
            found[der] = None
    return list(found)


def pem(certificates: Iterable[bytes]) -> str:
    """Return certificates as PEM, and nothing else: the file that they come from may have more, such as a key."""
    return "".join(map(_one, certificates))


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate as 64 hex digits."""
    return hashlib.sha256(certificate).hexdigest()


def _one(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))

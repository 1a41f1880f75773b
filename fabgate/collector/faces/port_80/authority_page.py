"""The page of the workshop's authority: its certificate, how to trust it, and the fingerprint by which to compare it."""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.template.loader import render_to_string
from django.utils import translation

from fabgate.collector import STATIC

#: The style sheets of all pages, in their order.
_STYLES: Final = ("vendor/pico.min.css", "tokens.css", "fabgate.css", "parts.css", "port-80.css")
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
#: How each certificate begins (X.690, SEQUENCE).
_SEQUENCE: Final = b"\x30"
#: The largest file that is read, in bytes: a certificate has one or two thousand.
_MOST_BYTES: Final = 100_000


@dataclass(frozen=True, slots=True)
class AuthorityCertificate:
    """The first certificate of the file, in both forms."""

    pem: bytes
    der: bytes

    @property
    def fingerprint(self) -> str:
        """The SHA-256 in eight groups, as setup prints it."""
        digits = hashlib.sha256(self.der).hexdigest().upper()
        return " ".join(digits[at : at + 8] for at in range(0, len(digits), 8))


class AuthorityPage:
    """Makes the page, once for each language and certificate: no request makes it work much."""

    def __init__(self, ca: Path, site: str, address: str) -> None:
        self._ca, self._site, self._address = ca, site, address
        self._made: dict[str, tuple[AuthorityCertificate | None, bytes]] = {}

    def certificate(self) -> AuthorityCertificate | None:
        """Return the certificate of the authority; None while its file is missing or damaged."""
        try:
            with self._ca.open("rb") as file:
                text = file.read(_MOST_BYTES).decode("latin-1")
            found = _PEM.search(text)
            der = ssl.PEM_cert_to_DER_cert(found[0]) if found else b""
        except (OSError, ValueError):
            return None
        return AuthorityCertificate(f"{found[0]}\n".encode(), der) if found and der.startswith(_SEQUENCE) else None

    def html(self, lang: str) -> bytes:
        """Return the page."""
        found = self.certificate()
        if lang not in self._made or self._made[lang][0] != found:
            values = {
                "lang": lang,
                "site": self._site,
                "address": self._address,
                "certificate": found,
                # the languages in their own words, each to be chosen by its link
                "langs": (("en", "English"), ("fr", "Français")),
            }
            with translation.override(lang):
                self._made[lang] = found, render_to_string("port_80/authority.html", values).encode()
        return self._made[lang][1]

    def style(self) -> bytes:
        """Return the style sheet: those of all pages, and the page's own."""
        return _style()


@cache
def _style() -> bytes:
    return b"\n".join(Path(f"{STATIC}/{name}").read_bytes() for name in _STYLES)

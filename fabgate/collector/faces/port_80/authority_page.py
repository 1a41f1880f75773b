"""The page of the workshop's authority: its certificate, how to trust it, and the fingerprint by which to compare it.

While one authority takes the place of another (docs/decisions/0151), the page offers both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from django.template.loader import render_to_string
from django.utils import translation

from fabgate.collector import STATIC
from fabgate.collector.ground import authorities as own_authorities
from fabgate.mqtt import authorities, certificates

#: The style sheets of all pages, in their order.
_STYLES: Final = ("vendor/pico.min.css", "tokens.css", "fabgate.css", "parts.css", "port-80.css")


@dataclass(frozen=True, slots=True)
class AuthorityCertificate:
    """One certificate of the file, in both forms; `name` is that of the file to download, without its ending."""

    name: str
    der: bytes

    @property
    def pem(self) -> bytes:
        """The certificate as text."""
        return authorities.pem([self.der]).encode()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 in eight groups, as setup prints it."""
        digits = authorities.fingerprint(self.der).upper()
        return " ".join(digits[at : at + 8] for at in range(0, len(digits), 8))


class AuthorityPage:
    """Makes the page, once for each language and certificate: no request makes it work much."""

    def __init__(self, ca: Path, site: str, address: str) -> None:
        self._ca, self._site, self._address = ca, site, address
        self._made: dict[str, tuple[list[AuthorityCertificate], bytes]] = {}

    def certificates(self) -> list[AuthorityCertificate]:
        """Return the certificates that devices need, that of the authority that signs now first.

        One that ends before it was in force earlier, and is left out. None while the file is missing or damaged.
        """
        ders = own_authorities.read(self._ca)
        ends = [certificates.ends_of(der) or datetime.max.replace(tzinfo=UTC) for der in ders]
        needed = [der for der, end in zip(ders, ends, strict=True) if end >= ends[0]]
        found = enumerate(needed, start=1)
        return [AuthorityCertificate("ca" if number == 1 else f"ca-{number}", der) for number, der in found]

    def file(self, name: str) -> bytes | None:
        """Return a certificate by the name of its file, such as ca.crt (DER) or ca.pem; None if there is no such one."""
        stem, _, ending = name.rpartition(".")
        found = next((one for one in self.certificates() if one.name == stem), None)
        if found is None or ending not in ("crt", "pem"):
            return None
        return found.der if ending == "crt" else found.pem

    def html(self, lang: str) -> bytes:
        """Return the page."""
        found = self.certificates()
        if lang not in self._made or self._made[lang][0] != found:
            values = {
                "lang": lang,
                "site": self._site,
                "address": self._address,
                "certificates": found,
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

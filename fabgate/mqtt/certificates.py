"""Reads the dates of certificates, and explains in words when one has to be renewed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from fabgate.mqtt import authorities

#: A certificate that ends within this time has to be renewed now: nothing can connect with an expired one.
RENEW_WITHIN: Final = timedelta(days=30)
#: A gate cannot see whether `setup` made what it connects to.
_SERVERS: Final = (
    "renew the certificate (on the collector: sudo fabgate-collector setup; where it was made by hand:"
    " docs/install-by-hand.md, “Renew the broker's certificate”)"
)
#: How to renew a certificate, by its owner.
_RENEW: Final = {
    "broker's": _SERVERS,
    "collector's": _SERVERS,
    "collector's own": "put a new certificate into the file that FABGATE_MQTT_CERT names, then run systemctl restart"
    " fabgate-collector.target",
    "gate's own": "put a new certificate into the file that mqtt.tls.cert names, then run systemctl restart"
    " fabgate-gate",
}
#: OpenSSL's codes for wrong dates: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
_NOT_YET, _EXPIRED = 9, 10
#: Tags of ASN.1 (X.690): the version of a certificate, and a time with two digits for the year.
_VERSION, _UTC_TIME = 0xA0, 0x17


def trouble(error: BaseException, whose: str) -> str:
    """Return what is wrong with the dates of a certificate, and what to do; "" for any other error.

    `whose` is the server's name in the message, such as ``broker's``. OpenSSL does not say which certificate of the chain
    it means: an expired authority gives the same text.
    """
    verification = _verification(error)
    if verification is not None and verification.verify_code == _NOT_YET:
        return f"the {whose} certificate is not valid yet: check the clock of this computer and the certificate's dates"
    is_expired = verification is not None and verification.verify_code == _EXPIRED
    return f"the {whose} certificate has expired: {_RENEW[whose]}" if is_expired else ""


def is_due(ends: datetime | None, now: datetime) -> bool:
    """Return whether the certificate has to be renewed; `ends` is None if the end is unknown or there is no TLS."""
    return ends is not None and ends - now <= RENEW_WITHIN


def ending(ends: datetime | None, now: datetime, whose: str) -> str:
    """Return in words when a certificate ends and how to renew it, or "" while there is time. The day is in UTC."""
    if ends is None or not is_due(ends, now):
        return ""
    if ends <= now:
        return f"the {whose} certificate expired on {ends:%Y-%m-%d}: {_RENEW[whose]}"
    days = (ends - now).days
    left = "less than a day" if not days else f"{days} day{'s' if days > 1 else ''}"
    return f"the {whose} certificate expires on {ends:%Y-%m-%d}, in {left}: {_RENEW[whose]}"


def ends(path: Path) -> datetime | None:
    """Return when the first certificate of a PEM file ends (RFC 5280, 4.1.2.5); None if it contains none.

    Python's ssl module reads the dates of a peer's certificate only. Raises OSError if the file cannot be read.
    """
    found = authorities.certificates(path.read_text(encoding="ascii", errors="replace"))
    return ends_of(found[0]) if found else None


def ends_of(der: bytes) -> datetime | None:
    """Return when a certificate ends; None if this is no certificate."""
    try:
        (_, certificate), *_ = _parts(der)
        (_, signed), *_ = _parts(certificate)
        fields = [content for tag, content in _parts(signed) if tag != _VERSION]
        _number, _algorithm, _issuer, validity, *_ = fields
        _, (tag, written) = _parts(validity)
        text = written.decode("ascii")
        if tag == _UTC_TIME:
            text = ("20" if text < "50" else "19") + text
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (ValueError, IndexError):  # not a certificate; OpenSSL reports that when it loads the file
        return None


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each value in `der`, in order (X.690, 8.1)."""
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size >= 0x80:
            wide = size - 0x80
            size, at = int.from_bytes(der[at : at + wide], "big"), at + wide
        yield tag, der[at : at + size]
        at += size


def _verification(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return OpenSSL's verification error among an error and its causes, or None."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error

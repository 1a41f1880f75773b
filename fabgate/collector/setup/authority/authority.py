"""Makes the authority of a workshop, and issues the certificates of its broker and its pages.

Each certificate passes `openssl verify -x509_strict`, which Python 3.13 applies to every connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fabgate.collector.setup.authority import names as naming
from fabgate.collector.setup.authority.names import Names
from fabgate.errors import UsageError

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

#: Authorities are valid from here. A Pi has no clock of its own, and begins with the time at which its image was made,
#: which is later: it accepts the collector before it knows the time.
FIRST_DAY: Final = datetime(2022, 1, 1, tzinfo=UTC)
#: How long an authority is valid from the day on which it is made.
AUTHORITY_DAYS: Final = 3_650
#: How long the certificate of a broker is valid: only our programs see it.
BROKER_DAYS: Final = 1_825
#: How long the certificate of the pages is valid. iOS and macOS refuse more than 825 days (support.apple.com/103769).
PAGES_DAYS: Final = 825
#: How much of that is past when it is made, for gates and phones whose clock is late.
PAGES_BEFORE_DAYS: Final = 400
#: A certificate is renewed when it has fewer days left than this.
RENEW_DAYS: Final = 60


class Use(Enum):
    """Who shows a certificate."""

    BROKER = "broker"
    PAGES = "pages"


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate of an authority, and its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as a file."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as a file, without a password."""
        return _key_pem(self.key)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, both as files."""

    certificate: x509.Certificate
    certificate_pem: bytes
    key_pem: bytes


def make(site: str, names: Names, now: datetime) -> Authority:
    """Make the authority of a site, valid for ten years and for these names, those below them, and the local network."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The day tells two authorities of one workshop apart in the settings of a phone.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"fabgate {site} {now:%Y-%m-%d}")])
    certificate = (
        _builder(subject, subject, key.public_key())
        .not_valid_before(FIRST_DAY)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(naming.permitted(names.hosts), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def load(
    certificate_pem: bytes, key_pem: bytes, *, whose: str, now: datetime, ended: str = "make a new one"
) -> Authority:
    """Return an authority from its two files; `whose` names them in errors, and `ended` says what to do once it is not valid.

    Raises UsageError if they cannot be read or do not belong together, and if it is no authority, or no longer valid.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise UsageError(f"{whose}: found no certificate that can be read ({error}), wanted a PEM file") from error
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{whose}: found no key that can be read ({error}), wanted a PEM file") from error
    except TypeError as error:
        raise UsageError(
            f"{whose}: the key has a password; write one without: openssl pkey -in ca.key -out ca-plain.key"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UsageError(f"{whose}: found a key of type {type(key).__name__}, wanted an EC or RSA key")
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise UsageError(f"{whose}: the key does not belong to the certificate; take both from the same folder")
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    if not is_authority:
        raise UsageError(f"{whose}: found the certificate of a server, wanted that of the authority (ca.crt)")
    if certificate.not_valid_after_utc <= now:
        raise UsageError(f"{whose}: this authority was valid until {certificate.not_valid_after_utc:%Y-%m-%d}; {ended}")
    return Authority(certificate, key)


def issue(authority: Authority, use: Use, names: Names, now: datetime) -> Issued:
    """Issue a certificate with a new key. Raises UsageError for a name for which the authority is not valid."""
    check_names(authority, names)
    begins, ends = _validity(authority.certificate, use, now)
    key = ec.generate_private_key(ec.SECP256R1())
    # Clients read the names of the list below; a name here would be a second one to keep.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"fabgate {use.value}")])
    certificate = (
        _builder(subject, authority.certificate.subject, key.public_key())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names.general()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_issuer_id(authority.certificate), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Issued(certificate, certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def check_names(authority: Authority, names: Names) -> None:
    """Raise UsageError for a name or an address for which the authority is not valid."""
    if strange := naming.outside(names, authority.certificate):
        raise UsageError(
            f"found {', '.join(strange)}, for which the authority of this workshop is not valid; use a name below"
            f" .{naming.LOCAL}, or make a new authority: sudo fabgate-collector authority-turn --name NAME"
        )


def why_renew(certificate: x509.Certificate, authority: x509.Certificate, names: Names, now: datetime) -> str:
    """Return why a certificate has to be issued again, in words after "because"; "" if it does not."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return "it is not of this authority"
    try:
        listed = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        listed = set()
    if missing := [str(name.value) for name in names.general() if name not in listed]:
        return f"it lacks {', '.join(missing)}"
    # One that ends with its authority cannot be renewed to a later day.
    last = min(now + timedelta(days=RENEW_DAYS), authority.not_valid_after_utc - timedelta(seconds=1))
    if certificate.not_valid_after_utc <= last:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return ""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate in eight groups, by which a person compares two of them."""
    digits = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return " ".join(digits[at : at + 8] for at in range(0, len(digits), 8))


def _validity(authority: x509.Certificate, use: Use, now: datetime) -> tuple[datetime, datetime]:
    first, last = authority.not_valid_before_utc, authority.not_valid_after_utc
    if use is Use.BROKER:
        return first, min(now + timedelta(days=BROKER_DAYS), last)
    begins = max(now - timedelta(days=PAGES_BEFORE_DAYS), first)
    # Its last second counts, so a certificate from 0:00 to 0:00 is a second longer than its days.
    return begins, min(begins + timedelta(days=PAGES_DAYS, seconds=-1), last)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    serial = x509.random_serial_number()
    return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(serial)


def _issuer_id(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _public(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

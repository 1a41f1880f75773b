"""The authority of a workshop, judged by OpenSSL: what it signs is accepted, and it is good for nothing else."""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.authority import Authority, Use
from fabgate.collector.setup.authority.names import Names
from fabgate.errors import UsageError

NOW = datetime(2026, 12, 3, 10, 30, tzinfo=UTC)
NAMES = Names(("workshop.local", "workshop"), (ipaddress.ip_address("192.168.1.20"),))
LYON = authority.make("lyon", NAMES, NOW)
DAYS = st.integers(0, authority.AUTHORITY_DAYS - 1).map(lambda days: NOW + timedelta(days=days))


def verified(folder: Path, made: Authority, pem: bytes, *, at: datetime, host: str = "") -> str:
    """Return "OK" if OpenSSL accepts a certificate strictly at a moment, as that of a host; otherwise why not."""
    (folder / "ca.crt").write_bytes(made.certificate_pem)
    (folder / "server.crt").write_bytes(pem)
    for_host = f"-verify_{'ip' if host[:1].isdigit() else 'hostname'} {host}" if host else ""
    command = f"openssl verify -x509_strict -purpose sslserver -attime {int(at.timestamp())} {for_host}"
    done = subprocess.run(
        [*command.split(), "-no-CApath", "-no-CAstore", "-CAfile", "ca.crt", "server.crt"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return "OK" if done.returncode == 0 else done.stderr


def foreign(names: list[x509.GeneralName], *, common_name: str = "x") -> bytes:
    """Return a certificate that a thief of the authority's key signs, for any names."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(LYON.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(LYON.key.public_key()),
            critical=False,
        )
        .sign(LYON.key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("use", Use)
@pytest.mark.parametrize("host", ["workshop.local", "workshop", "192.168.1.20", "localhost", "127.0.0.1"])
def test_openssl_accepts_what_the_authority_issues_for_each_name(tmp_path: Path, use: Use, host: str) -> None:
    issued = authority.issue(LYON, use, NAMES, NOW)
    assert verified(tmp_path, LYON, issued.certificate_pem, at=NOW, host=host) == "OK"
    assert "mismatch" in verified(tmp_path, LYON, issued.certificate_pem, at=NOW, host="other.local")


@given(at=DAYS)
def test_each_certificate_is_valid_on_the_day_it_is_issued(at: datetime) -> None:
    for use in Use:
        found = authority.issue(LYON, use, NAMES, at).certificate
        assert found.not_valid_before_utc <= at < found.not_valid_after_utc
        assert found.not_valid_before_utc >= LYON.certificate.not_valid_before_utc
        assert found.not_valid_after_utc <= LYON.certificate.not_valid_after_utc
        assert authority.why_renew(found, LYON.certificate, NAMES, at) == ""


def test_phones_accept_the_days_of_the_pages(tmp_path: Path) -> None:
    """At most 825 days, of which 400 are past; the first second and the last one count (RFC 5280, 4.1.2.5)."""
    found = authority.issue(LYON, Use.PAGES, NAMES, NOW)
    begins, ends = found.certificate.not_valid_before_utc, found.certificate.not_valid_after_utc
    assert ends - begins + timedelta(seconds=1) == timedelta(days=825)
    assert NOW - begins == timedelta(days=400)
    assert verified(tmp_path, LYON, found.certificate_pem, at=begins + timedelta(seconds=1)) == "OK"
    assert "expired" in verified(tmp_path, LYON, found.certificate_pem, at=ends + timedelta(seconds=2))


def test_a_gate_that_does_not_know_the_time_yet_accepts_the_broker(tmp_path: Path) -> None:
    found = authority.issue(LYON, Use.BROKER, NAMES, NOW)
    image = datetime(2022, 4, 4, tzinfo=UTC)  # the day of the first image of Raspberry Pi OS that asks for an account
    assert verified(tmp_path, LYON, found.certificate_pem, at=image, host="workshop.local") == "OK"


@pytest.mark.parametrize(
    "names",
    [
        [x509.DNSName("bank.example")],
        [x509.DNSName("workshop.local.bank.example")],
        [x509.DNSName("workshop.local"), x509.DNSName("bank.example")],
        [x509.IPAddress(ipaddress.ip_address("9.9.9.9"))],
        [x509.IPAddress(ipaddress.ip_address("2620:fe::fe"))],
    ],
    ids=str,
)
def test_a_thief_of_the_key_cannot_sign_for_the_internet(tmp_path: Path, names: list[x509.GeneralName]) -> None:
    assert "permitted subtree violation" in verified(tmp_path, LYON, foreign(names), at=NOW)


def test_a_thief_of_the_key_can_sign_for_the_workshop(tmp_path: Path) -> None:
    """The refusals above are for the names, and for nothing else."""
    assert verified(tmp_path, LYON, foreign([x509.DNSName("workshop.local")]), at=NOW) == "OK"


def test_what_the_authority_signed_can_sign_nothing(tmp_path: Path) -> None:
    issued = authority.issue(LYON, Use.PAGES, NAMES, NOW)
    chain = Authority(issued.certificate, LYON.key)
    below = authority.issue(chain, Use.PAGES, NAMES, NOW)
    (tmp_path / "middle.crt").write_bytes(issued.certificate_pem)
    assert "error" in verified(tmp_path, LYON, issued.certificate_pem + below.certificate_pem, at=NOW, host="x.local")
    assert "invalid CA" in _chain(tmp_path, below.certificate_pem)


def _chain(folder: Path, pem: bytes) -> str:
    (folder / "below.crt").write_bytes(pem)
    return subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", "ca.crt", "-untrusted", "middle.crt", "below.crt"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    ).stderr


def test_a_strict_client_of_python_connects(tmp_path: Path) -> None:
    issued = authority.issue(LYON, Use.PAGES, NAMES, datetime.now(UTC))
    (tmp_path / "pages.pem").write_bytes(issued.certificate_pem + issued.key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "pages.pem")
    client = ssl.create_default_context(cadata=LYON.certificate_pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    assert "CN=fabgate pages" in _shake_hands(server, client, "workshop.local")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _shake_hands(server, client, "bank.example")


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=host), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = ends[0].getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).subject.rfc4514_string()


@pytest.mark.parametrize("use", Use)
def test_a_certificate_is_renewed_sixty_days_before_it_ends(use: Use) -> None:
    found = authority.issue(LYON, use, NAMES, NOW).certificate
    due = found.not_valid_after_utc - timedelta(days=60)
    assert authority.why_renew(found, LYON.certificate, NAMES, due - timedelta(seconds=1)) == ""
    assert "it ends on" in authority.why_renew(found, LYON.certificate, NAMES, due)


def test_a_certificate_is_renewed_for_a_new_name_or_address() -> None:
    found = authority.issue(LYON, Use.PAGES, NAMES, NOW).certificate
    moved = Names((*NAMES.hosts, "saws.local"), (ipaddress.ip_address("10.1.2.3"),))
    assert authority.why_renew(found, LYON.certificate, moved, NOW) == "it lacks saws.local, 10.1.2.3"
    assert authority.why_renew(found, LYON.certificate, Names(NAMES.hosts), NOW) == ""


def test_a_certificate_of_another_authority_is_replaced() -> None:
    found = authority.issue(authority.make("lyon", NAMES, NOW), Use.PAGES, NAMES, NOW).certificate
    assert authority.why_renew(found, LYON.certificate, NAMES, NOW) == "it is not of this authority"


def test_what_ends_with_its_authority_is_not_issued_again_each_day() -> None:
    at = LYON.certificate.not_valid_after_utc - timedelta(days=20)
    found = authority.issue(LYON, Use.PAGES, NAMES, at).certificate
    assert found.not_valid_after_utc == LYON.certificate.not_valid_after_utc
    assert authority.why_renew(found, LYON.certificate, NAMES, at + timedelta(days=1)) == ""


def test_a_name_outside_the_authority_is_refused_before_anything_is_signed() -> None:
    strange = Names(("workshop.local", "collector.example.org"))
    with pytest.raises(
        UsageError, match=r"found collector\.example\.org, for which .* not valid; use a name below \.local"
    ):
        authority.issue(LYON, Use.PAGES, strange, NOW)
    authority.issue(LYON, Use.PAGES, Names(("saws.workshop.local", "next.local")), NOW)


@pytest.mark.parametrize(
    ("hosts", "addresses", "expected"),
    [
        ((), (), "found no name"),
        (("Atelier Été",), (), "found the name 'Atelier Été', wanted small letters"),
        (("-x.local",), (), "found the name '-x.local'"),
        (("x.local",), ("8.8.8.8",), "found the address 8.8.8.8, which is on the internet"),
    ],
)
def test_names_that_no_certificate_can_have_are_refused(
    hosts: tuple[str, ...], addresses: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        Names(hosts, tuple(map(ipaddress.ip_address, addresses)))


def test_an_authority_made_by_hand_is_taken_over(tmp_path: Path) -> None:
    """As docs/install-by-hand.md made it: with OpenSSL, without names."""
    done = subprocess.run(
        [
            *[
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "3650",
            ],
            *("-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=fabgate lyon"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        ],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.returncode == 0
    now = datetime.now(UTC) + timedelta(seconds=1)
    key = (tmp_path / "ca.key").read_bytes()
    old = authority.load((tmp_path / "ca.crt").read_bytes(), key, whose="ca.key", now=now)
    issued = authority.issue(old, Use.BROKER, Names(("collector.example.org",)), now)
    assert verified(tmp_path, old, issued.certificate_pem, at=now, host="collector.example.org") == "OK"
    again = authority.load(old.certificate_pem, old.key_pem, whose="ca.key", now=now)
    assert authority.why_renew(issued.certificate, again.certificate, Names(("collector.example.org",)), now) == ""


def test_files_that_are_no_authority_are_refused_by_what_they_are() -> None:
    pages = authority.issue(LYON, Use.PAGES, NAMES, NOW)
    other = authority.make("lyon", NAMES, NOW)
    locked = LYON.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    late = LYON.certificate.not_valid_after_utc
    for certificate, key, at, expected in [
        (b"", LYON.key_pem, NOW, "stick: found no certificate"),
        (LYON.certificate_pem, b"", NOW, "stick: found no key"),
        (LYON.certificate_pem, locked, NOW, "stick: the key has a password; write one without: openssl pkey"),
        (LYON.certificate_pem, other.key_pem, NOW, "stick: the key does not belong to the certificate"),
        (
            pages.certificate_pem,
            pages.key_pem,
            NOW,
            "stick: found the certificate of a server, wanted that of the authority",
        ),
        (LYON.certificate_pem, LYON.key_pem, late, "stick: this authority was valid until 2036-11-30; make a new one"),
    ]:
        with pytest.raises(UsageError) as refused:
            authority.load(certificate, key, whose="stick", now=at)
        assert str(refused.value).startswith(expected), refused.value


def test_a_person_compares_the_fingerprint_with_that_of_openssl(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(LYON.certificate_pem)
    command = ["openssl", "x509", "-in", "ca.crt", "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    shown = authority.fingerprint(LYON.certificate)
    assert [len(group) for group in shown.split()] == [8] * 8
    assert shown.replace(" ", "") == said.partition("=")[2].strip().replace(":", "")


def test_an_authority_with_an_rsa_key_signs_too(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=100))
        .not_valid_after(NOW + timedelta(days=1_000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_signs(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    old = Authority(made, key)
    issued = authority.issue(old, Use.BROKER, NAMES, NOW)
    assert verified(tmp_path, old, issued.certificate_pem, at=NOW, host="workshop.local") == "OK"


def _signs() -> x509.KeyUsage:
    off = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), False)
    return x509.KeyUsage(
        **off, key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
    )

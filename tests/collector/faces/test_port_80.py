"""Does port 80 serve the authority's certificate and the repository of packages, and nothing else?"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.names import Names
from tests.collector.serving import serving_both
from tests.support.certificates import make_certificates
from tests.support.patience import HANGS_S, wait


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(frozen=True)
class Port80:
    port: int
    ca: Path
    apt: Path

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        found = connection.getresponse()
        answer = Answer(found.status, found.headers, found.read())
        connection.close()
        return answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("made"))


@pytest.fixture
def port_80(env, tmp_path, made, monkeypatch) -> Iterator[Port80]:
    apt = tmp_path / "repository"
    (apt / "dists" / "trixie").mkdir(parents=True)
    (apt / "dists" / "trixie" / "InRelease").write_text("Suite: trixie\n")
    (tmp_path / "secret").write_text("a secret")
    ca = tmp_path / "ca.crt"
    shutil.copy(made / "ca.pem", ca)
    with serving_both(replace(env, web_ca=ca, web_apt=apt)) as (_pages, port):
        yield Port80(port, ca, apt)


# --- the certificate --------------------------------------------------------------------------------------------------


def test_the_certificate_comes_in_both_forms_as_browsers_want_it(port_80):
    der, pem = port_80.ask("/ca.crt"), port_80.ask("/ca.pem")
    assert {one.headers["Content-Type"] for one in (der, pem)} == {"application/x-x509-ca-cert"}
    assert ssl.PEM_cert_to_DER_cert(pem.body.decode()) == der.body
    assert port_80.ca.read_bytes().strip() == pem.body.strip()


def test_the_page_shows_the_fingerprint_that_openssl_and_a_digest_of_the_file_show(port_80):
    page = port_80.ask("/").body.decode()
    (shown,) = re.findall(r"(?:[0-9A-F]{8} ){7}[0-9A-F]{8}", page)
    command = ["openssl", "x509", "-in", port_80.ca, "-noout", "-fingerprint", "-sha256"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().partition("=")[2]
    assert shown.replace(" ", "") == told.replace(":", "")
    assert shown.replace(" ", "") == hashlib.sha256(port_80.ask("/ca.crt").body).hexdigest().upper()


@pytest.mark.parametrize(
    ("path", "accepts", "lang"),
    [
        ("/", "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("/", "de, en", "en"),
        ("/", "", "en"),
        ("/?lang=fr", "en", "fr"),
        ("/?lang=en", "fr", "en"),
        ("/?lang=<b>", "fr", "fr"),
    ],
)
def test_the_page_is_in_the_language_of_the_browser_or_of_the_link(port_80, path, accepts, lang):
    answer = port_80.ask(path, Accept_Language=accepts)
    assert (answer.status, answer.headers["Content-Language"]) == (200, lang)
    heading = {"en": "Trust this workshop", "fr": "Faire confiance à cet atelier"}[lang]
    assert f"<h1>{heading}</h1>" in answer.body.decode()
    assert f'<html lang="{lang}">' in answer.body.decode()


def test_the_page_says_so_while_there_is_no_certificate_and_notices_when_there_is_one(port_80, made):
    text = port_80.ca.read_bytes()
    before = port_80.ask("/").body
    port_80.ca.unlink()
    assert b"There is no certificate to download yet" in port_80.ask("/").body
    assert port_80.ask("/ca.crt").status == port_80.ask("/ca.pem").status == 404
    port_80.ca.write_bytes(text)
    assert port_80.ask("/").body == before
    shutil.copy(made / "other-ca.pem", port_80.ca)
    assert port_80.ask("/").body != before


def test_both_certificates_are_offered_while_one_takes_the_place_of_the_other(port_80, made):
    other = (made / "other-ca.pem").read_text()
    assert port_80.ask("/ca-2.crt").status == 404
    assert "is changing its certificate" not in port_80.ask("/").body.decode()
    port_80.ca.write_text(f"{port_80.ca.read_text()}{other}")
    page = port_80.ask("/").body.decode()
    assert "is changing its certificate" in page
    shown = re.findall(r"(?:[0-9A-F]{8} ){7}[0-9A-F]{8}", page)
    files = [port_80.ask(f"/{name}.crt").body for name in ("ca", "ca-2")]
    assert [one.replace(" ", "") for one in shown] == [hashlib.sha256(one).hexdigest().upper() for one in files]
    assert port_80.ask("/ca-2.pem").body.decode().strip() == other.strip()
    links = set(re.findall(r'href="(/ca[^"]*)"', page))
    assert links == {"/ca.crt", "/ca.pem", "/ca-2.crt", "/ca-2.pem"}
    assert {port_80.ask(path).status for path in ("/ca-3.crt", "/ca.key", "/ca", "/ca-1.crt")} == {404}


def test_an_authority_that_signed_before_is_not_offered_any_more(port_80):
    days = [datetime(year, 12, 3, tzinfo=UTC) for year in (2026, 2027)]
    old, new = (authority.make("lyon", Names(("workshop.local",)), day).certificate_pem.decode() for day in days)
    port_80.ca.write_text(f"{old}{new}")
    assert port_80.ask("/ca-2.pem").body.decode() == new
    port_80.ca.write_text(f"{new}{old}")
    assert port_80.ask("/ca.pem").body.decode() == new
    assert port_80.ask("/ca-2.pem").status == 404


@pytest.mark.parametrize("spoilt", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate_is_not_offered(port_80, spoilt):
    port_80.ca.write_bytes(spoilt)
    assert port_80.ask("/ca.crt").status == 404
    assert b"There is no certificate to download yet" in port_80.ask("/").body


def test_nobody_is_remembered_and_the_page_may_do_nothing(port_80):
    for path in ("/", "/style.css", "/ca.crt", "/apt/dists/trixie/InRelease", "/none"):
        answer = port_80.ask(path)
        assert answer.headers["Set-Cookie"] is None
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Date"]
    assert b"<script" not in port_80.ask("/").body


def test_the_page_links_only_to_what_there_is(port_80):
    links = set(re.findall(r'(?:href|src)="(/[^"]*)"', port_80.ask("/").body.decode()))
    assert {"/ca.crt", "/ca.pem", "/style.css", "/?lang=fr"} <= links
    assert {port_80.ask(link).status for link in links} == {200}


# --- everything else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/sign-in", "/api/v1/gates/laser-1/roster", "/healthz", "/static/fabgate.css", "/apt"]
)
def test_nothing_of_the_pages_is_served(port_80, path):
    answer = port_80.ask(path)
    assert (answer.status, answer.body) == (404, b"Not found.\n")


def test_only_get_and_head_are_answered(port_80):
    assert port_80.ask("/", "POST").status == 405
    head, whole = port_80.ask("/", "HEAD"), port_80.ask("/")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(whole.body)))


# --- the repository ---------------------------------------------------------------------------------------------------


def test_a_file_of_the_repository_is_sent_whole_with_its_date(port_80):
    content = os.urandom(3_000_000)
    (port_80.apt / "pool").mkdir()
    (port_80.apt / "pool" / "fabgate~1+deb13.deb").write_bytes(content)
    for path in ("/apt/pool/fabgate~1+deb13.deb", "/apt/pool/fabgate%7e1%2bdeb13.deb"):
        answer = port_80.ask(path)
        assert (answer.status, answer.body == content) == (200, True)
        assert answer.headers["Content-Type"] == "application/vnd.debian.binary-package"
    head = port_80.ask("/apt/pool/fabgate~1+deb13.deb", "HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "3000000")


def test_apt_is_told_that_a_file_has_not_changed(port_80):
    path, file = "/apt/dists/trixie/InRelease", port_80.apt / "dists" / "trixie" / "InRelease"
    os.utime(file, (1_700_000_000.7, 1_700_000_000.7))
    date = port_80.ask(path).headers["Last-Modified"]
    assert date == "Tue, 14 Nov 2023 22:13:20 GMT"
    same = port_80.ask(path, If_Modified_Since=date)
    assert (same.status, same.body, same.headers["Last-Modified"]) == (304, b"", date)
    os.utime(file, (1_700_000_001, 1_700_000_001))
    assert port_80.ask(path, If_Modified_Since=date).status == 200
    assert port_80.ask(path, If_Modified_Since="no date").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/apt/",
        "/apt/dists",
        "/apt/dists/",
        "/apt/none",
        "/apt/../secret",
        "/apt/%2e%2e/secret",
        "/apt/dists/../../secret",
        "/apt/..%2fsecret",
        "/apt//etc/passwd",
        "/apt/%2fetc%2fpasswd",
        "/apt/dists/trixie/InRelease%00",
        "/apt/out",
        "/apt/out-folder/secret",
        "/apt/pipe",
        "/apt/" + "x" * 5000,
    ],
)
def test_nothing_outside_the_folder_and_no_listing_is_served(port_80, path):
    (port_80.apt / "out").symlink_to(port_80.apt.parent / "secret")
    (port_80.apt / "out-folder").symlink_to(port_80.apt.parent)
    os.mkfifo(port_80.apt / "pipe")
    answer = port_80.ask(path)
    assert (answer.status, answer.body) == (404, b"Not found.\n")


def test_a_link_within_the_folder_is_followed(port_80):
    (port_80.apt / "dists" / "stable").symlink_to("trixie")
    assert port_80.ask("/apt/dists/stable/InRelease").body == b"Suite: trixie\n"


def test_a_repository_that_is_not_there_is_not_found(env, tmp_path):
    with serving_both(replace(env, web_apt=tmp_path / "none")) as (_pages, port):
        assert Port80(port, tmp_path, tmp_path).ask("/apt/dists/trixie/InRelease").status == 404


def test_apt_fetches_from_it(port_80, tmp_path):
    apt_get = shutil.which("apt-get")
    if apt_get is None:
        pytest.skip("apt-get is not installed here")
    root = tmp_path / "root"
    for folder in (
        "etc/apt/preferences.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/lib/dpkg",
    ):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    packages = b"Package: fabgate-example\nVersion: 1\nArchitecture: all\n\n"
    release = f"Suite: trixie\nCodename: trixie\nComponents: main\nArchitectures: amd64\nSHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages\n"
    dist = port_80.apt / "dists" / "trixie"
    (dist / "InRelease").unlink()
    (dist / "main" / "binary-amd64").mkdir(parents=True)
    (dist / "main" / "binary-amd64" / "Packages").write_bytes(packages)
    (dist / "Release").write_text(release)
    source = f"deb [trusted=yes arch=amd64] http://127.0.0.1:{port_80.port}/apt trixie main\n"
    (root / "etc/apt/sources.list").write_text(source)
    options = [f"-oDir={root}", f"-oDir::State::status={root}/var/lib/dpkg/status", "-oAPT::Sandbox::User=root"]
    options += ["-oAcquire::http::Proxy=DIRECT", "-oAPT::Architecture=amd64", "-oAcquire::Languages=none"]
    environment = {"PATH": os.environ["PATH"], "LANG": "C"}
    for known in ("Get:", "Hit:"):  # the second time nothing has changed
        done = subprocess.run(
            [apt_get, *options, "update"], env=environment, capture_output=True, text=True, check=False
        )
        assert f"{known}" in done.stdout, done.stdout + done.stderr
        assert "\nE:" not in done.stderr
    shown = subprocess.run(
        ["apt-cache", *options, "policy", "fabgate-example"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Candidate: 1" in shown.stdout


def test_who_hangs_up_is_sent_no_more(port_80):
    package = port_80.apt / "large.deb"
    package.touch()
    os.truncate(package, 1 << 40)
    with socket.create_connection(("127.0.0.1", port_80.port), HANGS_S) as client:
        client.sendall(b"GET /apt/large.deb HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(13) == b"HTTP/1.1 200 "
        assert is_open(package)
    wait(lambda: not is_open(package))


def is_open(path: Path) -> bool:
    """Return whether this process has the file open."""
    return any(os.path.realpath(one) == str(path) for one in Path("/proc/self/fd").iterdir())


def test_port_80_limits_its_connections_too(env, tmp_path, monkeypatch):
    monkeypatch.setattr("fabgate.collector.processes.listening.connections.HEAD_S", 0.2)
    with (
        serving_both(env) as (_pages, port),
        socket.create_connection(("127.0.0.1", port), HANGS_S) as silent,
    ):
        assert silent.recv(100).startswith(b"HTTP/1.1 408 ")

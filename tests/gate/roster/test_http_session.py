"""A roster's way over the network: whoever holds it up is cut off, and whoever signed the collector is asked for."""

from __future__ import annotations

import contextlib
import errno
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import RosterSource
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored
from tests.gate.fakes import Time
from tests.gate.roster.collector import Collector, Server
from tests.gate.shell import gate_config, key_file
from tests.support.certificates import make_certificates, sign
from tests.support.patience import HANGS_S

HEAD = b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n"


class Slow:
    """A server that says `first` at once and then a letter now and then, until nobody listens any more."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.hung_up = threading.Event()
        self.stopped = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with self.listening, contextlib.suppress(OSError):
            connection, _ = self.listening.accept()
            with connection:
                try:
                    connection.sendall(self.first)
                    while not self.stopped.wait(0.01):
                        connection.sendall(b"5")
                except OSError:
                    self.hung_up.set()

    def close(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.thread.join()


class Gate:
    """The source of a gate whose collector is at `url`, and what it posted."""

    def __init__(self, folder: Path, url: str, *, ca: Path | None = None, whole_timeout_s: float = 20.0) -> None:
        token = folder / "token"
        token.write_text("the-token\n")
        made = gate_config(folder, roster=RosterSource(url=url, token_file=token, ca=ca))
        time = Time()
        self.posted: list[object] = []
        self.source = HttpSource(
            made,
            folder / "roster.db",
            self.posted.append,
            boot=time.boot,
            now=time.clock().now,
            timeout_s=20.0,
            whole_timeout_s=whole_timeout_s,
        )

    def fetch(self) -> list[object]:
        self.posted.clear()
        self.source.fetch()
        return list(self.posted)

    def refused(self) -> str:
        (found,) = self.fetch()
        assert isinstance(found, RosterRefused)
        return found.reason


@pytest.mark.parametrize(
    ("scheme", "first"),
    [
        ("http", b""),
        ("http", HEAD + b"X-Padding: "),
        ("http", HEAD + b"Content-Length: 1000000\r\n\r\n{"),
        ("http", HEAD + b"Connection: close\r\n\r\n{"),
        ("http", HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
        ("https", b"\x16\x03\x03\x40\x00"),  # a TLS record of 16 KiB begins
    ],
    ids=["status line", "headers", "body", "body without an end", "chunks", "TLS"],
)
def test_a_server_that_sends_a_letter_now_and_then_is_cut_off(tmp_path: Path, scheme: str, first: bytes) -> None:
    server = Slow(first)
    try:
        gate = Gate(tmp_path, f"{scheme}://127.0.0.1:{server.port}", whole_timeout_s=0.3)
        assert gate.refused() == (
            f"{scheme}://127.0.0.1:{server.port}/api/v1/gates/laser-1/roster: found no complete answer after 0.3 s, wanted"
            " one in that time; the network or the collector is too slow, or a proxy between them delays the answer"
        )
        assert server.hung_up.wait(HANGS_S), "the connection is closed, not left to itself"
    finally:
        server.close()


def test_no_thread_is_left_of_an_answer_that_was_whole_in_time(tmp_path: Path) -> None:
    collector = Collector()
    server = Server(collector)
    try:
        gate = Gate(tmp_path, f"http://127.0.0.1:{collector.port}")
        assert gate.fetch() == [RosterStored(100, 5)]
        timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
        for timer in timers:
            timer.join(HANGS_S)  # it was told to end, and does so long before its time
        assert gate.fetch() == [RosterConfirmed()]
    finally:
        server.close()


@contextlib.contextmanager
def mute(*, hangs_up: bool) -> Iterator[int]:
    """A port on which somebody listens, but never answers, or hangs up at once."""

    def hang_up() -> None:
        for _time in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        if hangs_up:
            threading.Thread(target=hang_up, daemon=True).start()
        yield listening.getsockname()[1]


def said(folder: Path, url: str, silent_s: float = 20.0) -> str:
    """Return what a gate says after the address, about a collector that it cannot reach; it says so once."""
    gate = Gate(folder, url)
    gate.source._timeout_s = silent_s
    address, _colon, text = gate.refused().partition("/roster: ")
    assert (address, gate.fetch()) == (f"{url}/api/v1/gates/laser-1", [])
    return text


def test_why_there_is_no_answer_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mute(hangs_up=False) as port:
        assert said(tmp_path, f"http://127.0.0.1:{port}", 0.05).startswith(
            "found no answer after 0.05 s, wanted one in "
        )
    assert said(tmp_path, f"http://127.0.0.1:{port}") == (
        "found no program on that port (connection refused), wanted the collector; check that it runs, and the address and"
        " port in roster.url"
    )
    with mute(hangs_up=True) as port:
        assert said(tmp_path, f"http://127.0.0.1:{port}").startswith("found a connection that broke off, wanted ")
    collector = Collector()
    server = Server(collector)
    try:
        assert said(tmp_path, f"https://127.0.0.1:{collector.port}").startswith("found no TLS on that port, wanted it ")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert said(tmp_path, "http://collector.lan").startswith("found a proxy that does not let it through, wanted ")
    finally:
        server.close()
    monkeypatch.delenv("HTTP_PROXY")
    for error, text in (
        (socket.gaierror(-2, "Name or service not known"), "found no computer of that name, wanted the collector; "),
        (
            OSError(errno.EHOSTUNREACH, "No route to host"),
            "found no way to that computer, wanted one; check the network ",
        ),
    ):

        def fail(*_arguments: object, error: OSError = error) -> None:
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        assert said(tmp_path, "http://collector.lan").startswith(text)


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate for 127.0.0.1 that it signed, and an authority that signed nothing."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("no openssl here")
    folder = tmp_path_factory.mktemp("papers")

    def openssl(*arguments: str) -> None:
        subprocess.run([tool, *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        openssl(
            *new, "-x509", "-days", "2", *usage, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"
        )
    # Python 3.13 checks as strictly as RFC 5280 says: each certificate names the key that signed it, and its own use.
    (folder / "san").write_text(
        "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    openssl(*new, "-subj", "/CN=collector", "-keyout", "collector.key", "-out", "collector.csr")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
    openssl("x509", "-req", "-in", "collector.csr", *signing, "-out", "collector.pem")
    return folder


@pytest.fixture
def secure(papers: Path) -> Iterator[Collector]:
    """A collector behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / "collector.pem", papers / "collector.key")
    collector = Collector()
    server = Server(collector, tls=context)
    yield collector
    server.close()


def test_a_collector_whose_authority_is_named_is_believed(
    tmp_path: Path, papers: Path, secure: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(papers / "other-ca.pem"))  # gate.yaml wins
    gate = Gate(tmp_path, f"https://127.0.0.1:{secure.port}", ca=papers / "ca.pem")
    assert gate.fetch() == [RosterStored(100, 5)]
    assert gate.fetch() == [RosterConfirmed()]


def test_a_collector_of_another_authority_or_of_none_that_is_known_hears_no_token(
    tmp_path: Path, papers: Path, secure: Collector
) -> None:
    for ca in (papers / "other-ca.pem", None):
        refused = Gate(tmp_path, f"https://127.0.0.1:{secure.port}", ca=ca).refused()
        assert "found a certificate that this gate does not trust (certificate verify failed: " in refused
    assert secure.asked == []


@pytest.mark.parametrize(
    ("days", "in_days", "said"),
    [
        (
            -1,
            -2,
            (
                "the collector's certificate has expired: renew the certificate (on the collector: sudo fabgate-collector setup;"
                " where it was made by hand: docs/install-by-hand.md, “Renew the broker's certificate”)"
            ),
        ),
        (9, 5, "the collector's certificate is not valid yet: check the clock of this computer"),
    ],
)
def test_a_collector_whose_certificate_is_out_of_its_dates_is_told_so(
    tmp_path: Path, days: int, in_days: int, said: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    sign(make_certificates(own), "collector", days=days, in_days=in_days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own / "collector.pem", own / "collector.key")
    collector = Collector()
    server = Server(collector, tls=context)
    gate = Gate(tmp_path, f"https://127.0.0.1:{collector.port}", ca=own / "ca.pem")
    try:
        assert gate.refused().startswith(f"https://127.0.0.1:{collector.port}/api/v1/gates/laser-1/roster: {said}")
    finally:
        server.close()
    assert collector.asked == []


def test_an_authority_that_went_away_is_told(tmp_path: Path, secure: Collector) -> None:
    gate = Gate(tmp_path, f"https://127.0.0.1:{secure.port}", ca=tmp_path / "gone.pem")
    assert "gone.pem" in gate.refused()


# --- gate.yaml --------------------------------------------------------------------------------------------------------


def load(folder: Path, roster: str) -> gate_yaml.Config:
    """Read a gate.yaml with such a roster."""
    key_file(folder / "a.keys")
    (folder / "token").write_text("the-token\n")
    (folder / "members.yaml").write_text("- {id: a, badges: []}\n")
    path = folder / "gate.yaml"
    path.write_text(
        "site: lyon\ngate: laser-1\nstate_dir: state\nreader: {driver: mfrc522}\noutput: {driver: memory}\n"
        f"gate_key_file: a.keys\nbadge_key_file: a.keys\nroster: {{token_file: token, {roster}}}\n"
    )
    return gate_yaml.load(path)


def test_the_authority_of_the_collector_stands_in_gate_yaml(tmp_path: Path, papers: Path) -> None:
    found = load(tmp_path, f"url: 'https://collector.lan', ca: {papers / 'ca.pem'}")
    assert found.roster.ca == papers / "ca.pem"


@pytest.mark.parametrize(
    ("roster", "told"),
    [
        ("url: 'https://collector.lan', ca: none.pem", "roster.ca: found no file "),
        ("url: 'https://collector.lan', ca: .", "roster.ca: found no file "),
        ("url: 'https://collector.lan', ca: token", "token without a certificate that can be read"),
        ("url: 'https://collector.lan', ca: ca.key", "wanted PEM: the lines from BEGIN CERTIFICATE to END CERTIFICATE"),
        (
            "url: 'http://127.0.0.1:80', ca: ca.pem",
            "roster.ca: found it without an https:// url, wanted both or neither",
        ),
        ("file: members.yaml, ca: ca.pem", "roster.ca: found it without an https:// url"),
    ],
)
def test_an_authority_that_checks_nothing_is_a_mistake_of_one_line(
    tmp_path: Path, papers: Path, roster: str, told: str
) -> None:
    for name in ("ca.pem", "ca.key"):
        shutil.copy(papers / name, tmp_path)
    with pytest.raises(UsageError) as caught:
        load(tmp_path, roster)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path}/gate.yaml:8: roster.ca: ")
    assert told in line

"""Does the web process speak TLS itself, take a renewed certificate, and let nobody shut out gates by half a handshake?"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import shutil
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fabgate.collector.processes.listening import certificate, connections
from fabgate.collector.processes.listening.certificate import Certificate
from fabgate.collector.processes.listening.handshakes import Turns
from fabgate.errors import FabgateError
from tests.collector.serving import serving_both
from tests.collector.tls_serving import Served, serving_tls, with_tls
from tests.support.certificates import make_certificates, sign
from tests.support.patience import HANGS_S, wait

ASKED = b"GET /api/v1/gates/laser-1/roster HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 401 "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("made"))


@pytest.fixture
def certificates(made, tmp_path) -> Path:
    """Certificates that the test may change."""
    return Path(shutil.copytree(made, tmp_path / "certificates"))


@pytest.fixture
def served(env, certificates, monkeypatch) -> Iterator[Served]:
    monkeypatch.setattr(certificate, "LOOK_S", 0.0)
    with serving_tls(env, certificates) as found:
        yield found


def is_answered(sock: ssl.SSLSocket) -> bool:
    sock.sendall(ASKED)
    found = b""
    while b"\r\n\r\n" not in found:
        found += sock.recv(65_536)
    head, _, body = found.partition(b"\r\n\r\n")
    (length,) = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(65_536)
    return found.startswith(ANSWER)


def number(sock: ssl.SSLSocket) -> str:
    return str(sock.getpeercert()["serialNumber"])


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_today_is_spoken(served, version):
    client = served.client()
    client.minimum_version = client.maximum_version = version
    with client.wrap_socket(served.plain(), server_hostname="127.0.0.1") as sock:
        assert is_answered(sock)


def shakes(served: Served, *options: str) -> bool:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", *options]
    return subprocess.run(command, input=b"", capture_output=True, check=False, timeout=HANGS_S).returncode == 0


def test_older_tls_is_not_spoken_and_neither_is_plain_http(served):
    assert shakes(served, "-tls1_2")
    assert not shakes(served, "-tls1_1", "-cipher", "ALL@SECLEVEL=0")
    with served.plain() as sock, contextlib.suppress(ConnectionResetError):
        sock.sendall(ASKED)
        assert b"HTTP/" not in sock.recv(65_536)


def test_pages_know_that_they_are_reached_with_tls_and_believe_no_header_of_a_proxy(served):
    asked = urllib.request.Request(f"{served.url}/sign-in", headers={"X-Forwarded-Proto": "http", "Host": "localhost"})
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=served.client()))
    with opener.open(asked, timeout=HANGS_S) as page:
        assert page.status == 200
        # Django sends HSTS with what has come through TLS only; the tests' settings have none.
        assert page.headers["Strict-Transport-Security"] is None


def test_a_large_answer_arrives_whole(served):
    # the style sheet, through buffers that are smaller than it
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=served.client()))
    with opener.open(f"{served.url}/static/vendor/pico.min.css", timeout=HANGS_S) as answer:
        assert len(answer.read()) == int(answer.headers["Content-Length"])


# --- the certificate --------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_taken_and_open_connections_stay(served, certificates):
    with served.shaken() as before:
        old = number(before)
        sign(certificates, "broker", days=300)
        with served.shaken() as after:
            assert number(after) != old
            assert is_answered(after)
        assert is_answered(before)


def test_a_pair_that_does_not_fit_changes_nothing_and_is_told_once(served, certificates, caplog):
    with served.shaken() as sock:
        old = number(sock)
    shutil.copy(certificates / "gate.key", certificates / "broker.key")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with served.shaken() as sock:
                assert number(sock) == old
    (told,) = [record.getMessage() for record in caplog.records if "certificate" in record.getMessage()]
    assert "the former certificate stays in use" in told
    assert "the key is of another certificate" in told
    shutil.copy(certificates / "gate.pem", certificates / "broker.pem")  # the second half
    with served.shaken() as sock:
        assert number(sock) != old


def test_a_pair_that_could_not_be_read_is_tried_again_once_it_can_be(served, certificates, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with served.shaken() as sock:
        old = number(sock)
    sign(certificates, "broker", days=300)
    with monkeypatch.context() as unreadable:
        unreadable.setattr(ssl.SSLContext, "load_cert_chain", refuse)
        with served.shaken() as sock:
            assert number(sock) == old
    (certificates / "broker.key").chmod(0o640)
    with served.shaken() as sock:
        assert number(sock) != old


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda at: shutil.copy(at / "gate.key", at / "broker.key"), "the key is of another certificate"),
        (lambda at: shutil.copy(at / "locked.key", at / "broker.key"), "the key has a passphrase"),
        (lambda at: (at / "broker.pem").write_text((at / "broker.pem").read_text()[:300]), "which give no TLS"),
        (lambda at: (at / "broker.key").unlink(), "No such file or directory"),
    ],
    ids=["another key", "a passphrase", "half a file", "no file"],
)
def test_a_pair_that_gives_no_tls_is_told_with_the_reason(env, certificates, spoil: Callable[[Path], object], told):
    spoil(certificates)
    with pytest.raises(FabgateError, match=told) as caught:
        Certificate(certificates / "broker.pem", certificates / "broker.key")
    assert "FABGATE_WEB_CERT" in str(caught.value)


@pytest.mark.parametrize(
    ("days", "in_days", "told"),
    [(-1, -9, "has expired"), (20, 3, "is not valid yet"), (5, -1, "ends in 4 days"), (100, -1, None)],
)
def test_a_certificate_with_the_wrong_days_is_used_and_mentioned(certificates, caplog, days, in_days, told):
    sign(certificates, "broker", days=days, in_days=in_days)
    with caplog.at_level(logging.WARNING):
        assert Certificate(certificates / "broker.pem", certificates / "broker.key").context()
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == (told is not None)
    assert all(told in line for line in found)


# --- half-open connections --------------------------------------------------------------------------------------------


def test_a_handshake_that_never_ends_is_given_up(env, certificates, monkeypatch):
    monkeypatch.setattr("fabgate.collector.processes.listening.handshakes.HANDSHAKE_S", 0.2)
    with serving_tls(env, certificates) as served, served.plain() as silent, served.plain() as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        for sock in (silent, half):
            sock.settimeout(30.0)  # less than asyncio's own limit
        assert (silent.recv(1), half.recv(1)) == (b"", b"")


def test_half_open_connections_do_not_delay_the_end(env, certificates, monkeypatch):
    monkeypatch.setattr("fabgate.collector.processes.web.STOP_S", 2 * HANGS_S)
    monkeypatch.setattr("fabgate.collector.processes.listening.handshakes.HANDSHAKE_S", 2 * HANGS_S)
    with serving_tls(env, certificates) as served:  # leaving it fails after HANGS_S
        half = [served.plain() for _ in range(3)]
        with served.shaken() as sock:  # so those before have been accepted
            assert is_answered(sock)
    for one in half:
        one.close()


def test_steps_of_handshakes_are_done_in_turns_of_addresses_with_other_work_between_them():
    done: list[str] = []

    async def run() -> None:
        turns = Turns()
        for name in ("many 1", "many 2", "one 1", "many 3"):
            turns.take(name.split()[0], functools.partial(done.append, name))
        while len(done) < 8:
            await asyncio.sleep(0)
            done.append("-")

    asyncio.run(run())
    assert done == ["many 1", "-", "one 1", "-", "many 2", "-", "many 3", "-"]


@pytest.mark.parametrize("limit", ["MOST", "MOST_OF_ADDRESS"])
def test_half_open_connections_make_room_however_young_they_are(env, certificates, monkeypatch, limit):
    monkeypatch.setattr(connections, limit, 10)
    monkeypatch.setattr(connections, "GRACE_S", 600.0)
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serving_tls(env, certificates))
        half = [stack.enter_context(served.plain()) for _ in range(40)]
        for _ in range(9):
            assert is_answered(stack.enter_context(served.shaken()))
        assert [sock.recv(1) for sock in half[:30]] == [b""] * 30


def test_whoever_has_most_half_open_connections_loses_one(env, certificates, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 10)
    monkeypatch.setattr(connections, "GRACE_S", 600.0)
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serving_tls(env, certificates))
        gate = stack.enter_context(served.plain("127.0.0.9"))  # has connected, and is slow
        many = [stack.enter_context(served.plain("127.0.0.2")) for _ in range(40)]
        assert [sock.recv(1) for sock in many[:31]] == [b""] * 31
        with served.client().wrap_socket(gate, server_hostname="127.0.0.1") as sock:
            assert is_answered(sock)


def test_established_connections_lose_nothing_to_half_open_ones(env, certificates, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 12)  # of which 3 are kept for handshakes
    monkeypatch.setattr(connections, "GRACE_S", 0.0)
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serving_tls(env, certificates))
        whole = [stack.enter_context(served.shaken()) for _ in range(9)]
        assert all(map(is_answered, whole))
        half = [stack.enter_context(served.plain("127.0.0.2")) for _ in range(20)]
        assert [sock.recv(1) for sock in half[:17]] == [b""] * 17
        assert all(map(is_answered, whole))


def test_whoever_ends_handshakes_and_asks_nothing_shuts_out_no_handshake(env, certificates, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 12)
    monkeypatch.setattr(connections, "GRACE_S", 0.0)
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serving_tls(env, certificates))
        other = stack.enter_context(served.shaken("127.0.0.8"))
        assert is_answered(other)
        for _ in range(12):
            stack.enter_context(served.shaken("127.0.0.2"))
        gate = stack.enter_context(served.plain("127.0.0.9"))  # has connected, and is slow
        for _ in range(20):
            stack.enter_context(served.shaken("127.0.0.2"))
        with served.client().wrap_socket(gate, server_hostname="127.0.0.1") as sock:
            assert is_answered(sock)
        assert is_answered(other)


def test_port_80_takes_no_room_of_the_pages(env, certificates, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 4)
    monkeypatch.setattr(connections, "GRACE_S", 600.0)
    with contextlib.ExitStack() as stack:
        address, port_80 = stack.enter_context(serving_both(with_tls(env, certificates)))
        served = Served(int(address.rpartition(":")[2]), certificates / "ca.pem")
        first = [stack.enter_context(served.shaken()) for _ in range(4)]
        for _ in range(20):
            stack.enter_context(
                socket.create_connection(("127.0.0.1", port_80), HANGS_S, source_address=("127.0.0.3", 0))
            )
        assert all(map(is_answered, first))


def test_whoever_is_gone_takes_no_room(env, certificates, monkeypatch):
    guards: list[connections.Guard] = []
    make = connections.Guard

    def kept(*arguments: Any, **named: Any) -> connections.Guard:
        guards.append(make(*arguments, **named))
        return guards[-1]

    monkeypatch.setattr(connections, "Guard", kept)
    with serving_tls(env, certificates) as served:
        of_pages, _ = guards
        with served.plain(), served.shaken() as sock:
            assert is_answered(sock)
            assert len(of_pages) == 2
        wait(lambda: len(of_pages) == 0)

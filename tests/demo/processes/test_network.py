"""The cable between a gate and the servers."""

from __future__ import annotations

import socket
import threading

import pytest

from fabgate.demo.processes.network import Cable
from tests.support.patience import HANGS_S


@pytest.fixture
def echo():
    """A server that sends back what it gets; gives its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(100):
                peer.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


def answer_to(sock: socket.socket, text: bytes) -> bytes:
    sock.sendall(text)
    return sock.recv(100)


def test_a_cable_carries_until_it_is_pulled_and_again_when_it_is_plugged(echo) -> None:
    cable = Cable(echo)
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert answer_to(sock, b"hello") == b"hello"
        cable.pull()
        assert sock.recv(100) == b""
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert sock.recv(100) == b""  # refused while it is pulled
    cable.plug()
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert answer_to(sock, b"again") == b"again"
    cable.close()


def test_one_wire_leads_to_several_servers_and_is_pulled_as_one(echo) -> None:
    cable = Cable(echo)
    second = cable.lead_to(echo)
    assert not cable.is_pulled
    for port in (cable.port, second):
        with socket.create_connection(("127.0.0.1", port), timeout=HANGS_S) as sock:
            assert answer_to(sock, b"hello") == b"hello"
    cable.pull()
    assert cable.is_pulled
    for port in (cable.port, second):
        with socket.create_connection(("127.0.0.1", port), timeout=HANGS_S) as sock:
            assert sock.recv(100) == b""
    cable.close()


def test_a_cable_to_nowhere_closes_what_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    cable = Cable(port)
    with socket.create_connection(("127.0.0.1", cable.port), timeout=HANGS_S) as sock:
        assert sock.recv(100) == b""
    cable.close()

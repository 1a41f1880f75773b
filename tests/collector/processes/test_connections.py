"""Is a request that is never finished given up, and does it make room for others until then?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from fabgate.collector.processes.listening import connections
from tests.collector.serving import serving
from tests.support.patience import HANGS_S, wait

HEAD = b"GET /api/v1/gates/laser-1/roster HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def env(env, monkeypatch) -> Any:
    found = replace(env, proxies="10.0.0.1")
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    return found


class Caller:
    """Somebody who has connected."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        host, port = address.removeprefix("http://").split(":")
        self.socket = stack.enter_context(socket.create_connection((host, int(port)), timeout=HANGS_S))

    def send(self, data: bytes) -> Caller:
        self.socket.sendall(data)
        return self

    def heard(self) -> bytes:
        """Return all that is said until the connection ends."""
        found = b""
        try:
            while more := self.socket.recv(65_536):
                found += more
        except ConnectionResetError:
            pass
        return found

    def answer(self) -> bytes:
        """Return the first line of an answer, after all of it was read."""
        found = b""
        while b"\r\n\r\n" not in found:
            found += self.socket.recv(65_536)
        head, _, body = found.partition(b"\r\n\r\n")
        (length,) = (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += self.socket.recv(65_536)
        return head.split(b"\r\n")[0]


@pytest.fixture
def call(env) -> Iterator[Any]:
    """Serve, and return what connects."""
    with ExitStack() as stack:
        address = stack.enter_context(serving(env))

        yield lambda: Caller(address, stack)


def is_answered(caller: Caller) -> bool:
    return caller.send(HEAD + b"\r\n").answer() == b"HTTP/1.1 401 Unauthorized"


@pytest.fixture
def hurried(monkeypatch) -> None:
    for name in ("HEAD_S", "BODY_S"):
        monkeypatch.setattr(connections, name, 0.2)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nname=",
        b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nname=\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half a chunked body"],
)
def test_what_is_never_finished_is_given_up(hurried, call, sent):
    assert call().send(sent).heard().startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_half_a_request_after_a_whole_one_is_given_up_too(call, monkeypatch):
    caller = call()
    assert is_answered(caller)
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    assert caller.send(HEAD).heard().startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_who_asks_for_nothing_more_is_not_kept_and_hears_nothing(env, monkeypatch):
    monkeypatch.setattr(connections, "IDLE_S", 1.0)
    with ExitStack() as stack:
        caller = Caller(stack.enter_context(serving(env)), stack)
        assert is_answered(caller)
        assert caller.heard() == b""


@pytest.mark.parametrize("limit", ["MOST", "MOST_OF_ADDRESS"])
def test_half_sent_requests_make_room_for_whole_ones(env, monkeypatch, limit):
    monkeypatch.setattr(connections, limit, 10)
    monkeypatch.setattr(connections, "GRACE_S", 0.0)
    with ExitStack() as stack:
        address = stack.enter_context(serving(env))
        half = []
        for _ in range(40):
            half.append(Caller(address, stack).send(HEAD))
            assert is_answered(Caller(address, stack))
        assert [caller.heard() for caller in half[:20]] == [b""] * 20


def test_who_has_just_come_makes_room_for_nobody(env, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 3)
    monkeypatch.setattr(connections, "GRACE_S", 600.0)
    with ExitStack() as stack:
        address = stack.enter_context(serving(env))
        first = [Caller(address, stack).send(HEAD) for _ in range(3)]
        refused = Caller(address, stack).heard()
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nretry-after: 5\r\n" in refused
        for caller in first:
            assert caller.send(b"\r\n").answer() == b"HTTP/1.1 401 Unauthorized"


def test_a_proxy_hands_on_more_than_one_address_may(env, monkeypatch):
    monkeypatch.setattr(connections, "MOST_OF_ADDRESS", 2)
    monkeypatch.setattr(connections, "GRACE_S", 600.0)
    with ExitStack() as stack:
        address = stack.enter_context(serving(replace(env, proxies="10.0.0.1, 127.0.0.0/8")))
        assert all(is_answered(Caller(address, stack)) for _ in range(5))


def test_whoever_does_not_read_makes_room(env, monkeypatch):
    monkeypatch.setattr(connections, "MOST", 3)
    monkeypatch.setattr(connections, "GRACE_S", 0.0)
    monkeypatch.setattr(connections, "READ_S", 600.0)
    with ExitStack() as stack:
        address = stack.enter_context(serving(env))
        style = b"GET /static/vendor/pico.min.css HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(3):
            Caller(address, stack).send(style * 200)  # more than any buffer holds
        wait(lambda: is_answered(Caller(address, stack)))

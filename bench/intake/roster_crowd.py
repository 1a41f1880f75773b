"""A roster over TLS, while others keep the web process busy with handshakes."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

from bench.collector.home import empty, web
from bench.figures import PASSES, Figure, Passes, measures
from bench.peers.broker import broker
from bench.process import BenchError, calling
from bench.run import Run
from fabgate import wire
from fabgate.demo.processes.ports import free_port
from tests.support.certificates import make_certificates

GATE, FETCHES, STREAMS = "crowd-1", 20, 20
#: How many clients of each kind come.
CROWDS = {"half_open": 1000, "trickle": 1000, "begin": 400, "handshakes": 20}


@measures(
    Figure("a roster beside 1,000 half-open connections, the slowest of 20", "s", 1),
    Figure("beside 1,000 that send a byte at a time", "s", 1),
    Figure("beside 400 that begin handshakes and leave", "s", 1),
    Figure("beside 20 clients that repeat handshakes", "s", 1),
    Figure("alone", "s"),
    Figure("handshakes that these 20 clients got", "1/s"),
    Figure("event streams that ended, of 20", "", 0),
)
def roster_crowd(run: Run) -> Passes:
    """How long does a gate wait for its roster while others begin TLS and ask for nothing? Each fetch has a handshake of its own.

    The others have eight addresses, and connect again when they are closed. Twenty pages listen for events meanwhile.
    """
    home, port = empty(run), free_port()
    made = make_certificates(run.fresh("certificates"))
    tls = {"FABGATE_WEB_CERT": made / "broker.pem", "FABGATE_WEB_KEY": made / "broker.key"}
    with home.calling("manager", FABGATE_WEB_PORT=port) as manager:
        (folder,) = map(Path, manager.call("gates", [GATE]))
        cookies, _token = manager.call("cookies", STREAMS)
    token, client = (folder / "token").read_text().strip(), ssl.create_default_context(cafile=made / "ca.pem")
    with contextlib.ExitStack() as stack:
        stack.enter_context(web(home, stack.enter_context(broker(run)), port, **tls))
        streams = [stack.enter_context(_stream(port, client, cookie)) for cookie in cookies]
        for _ in range(PASSES):
            alone_s = _slowest_s(port, client, token)
            slowest_s, rate = [], 0.0
            for how, clients in CROWDS.items():
                with calling("bench.peers.crowd") as crowd:
                    crowd.call("come", how, port, clients)
                    before, began_s = crowd.call("opened"), time.monotonic()
                    slowest_s.append(_slowest_s(port, client, token))
                    rate = (crowd.call("opened") - before) / (time.monotonic() - began_s)
            yield *slowest_s, alone_s, rate, sum(map(_has_ended, streams))


def _slowest_s(port: int, client: ssl.SSLContext, token: str) -> float:
    """Fetch the roster some times; return the seconds of the slowest fetch."""
    found = []
    for _ in range(FETCHES):
        headers = {"Authorization": f"Bearer {token}", wire.HEADER_NONCE: secrets.token_urlsafe(16)}
        began_s = time.perf_counter()
        with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=client)) as asking:
            asking.request("GET", f"/api/v1/gates/{GATE}/roster", headers=headers)
            answer = asking.getresponse()
            answer.read()
        found.append(time.perf_counter() - began_s)
        if answer.status != 200:
            raise BenchError(f"the roster was answered with {answer.status}")
    return max(found)


@contextlib.contextmanager
def _stream(port: int, client: ssl.SSLContext, cookie: str) -> Iterator[ssl.SSLSocket]:
    """Listen for events, as an open page does."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    with client.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(f"GET /floor/events HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
        status = sock.recv(15)
        if b" 200 " not in status:
            raise BenchError(f"/floor/events was answered with {status!r}")
        sock.setblocking(False)
        yield sock


def _has_ended(stream: ssl.SSLSocket) -> bool:
    """Read what has come; return whether the stream has ended."""
    try:
        while stream.recv(65_536):
            pass
    except ssl.SSLWantReadError:
        return False
    except OSError:
        pass
    return True

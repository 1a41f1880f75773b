"""An HTTP session that ends after a time limit, even where the server keeps sending single bytes.

``requests`` limits how long a server is silent, not how long its answer takes, and a thread that waits for the next
byte cannot check the clock. So a timer shuts the connection down: the wait (for TLS, a proxy, headers, the body) then
ends as if the server had closed the connection.

Errors of ``requests`` are made for programmers: `no_answer` says what a person at the gate can do.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter

from fabgate.errors import FabgateError, UsageError

#: There is no way to the other computer.
_NO_WAY: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})


class CutError(UsageError):
    """The answer was not complete in time."""


class NoAnswerError(FabgateError, OSError):
    """The collector cannot be reached, or does not answer; exit code 1."""


def no_answer(error: Exception, silent_s: float, named: str = "roster.url") -> str:
    """Return why `requests` got no answer, and what to do; "" for other errors. A repeated error has the same text.

    `silent_s` is how long the collector may be silent. `named` says where a person wrote its address.
    """
    return _no_answer(error, silent_s).replace("roster.url", named)


def _no_answer(error: Exception, silent_s: float) -> str:
    if not isinstance(error, requests.RequestException):
        return ""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"found a certificate that this gate does not trust (certificate verify failed: {cause.verify_message}),"
                " wanted one that the authority in roster.ca has signed for the name in roster.url; correct either"
            )
    for kinds, text in _NO_ANSWER:
        if any(isinstance(cause, kinds) for cause in causes):
            return text.format(silent_s=silent_s)
    if any(getattr(cause, "errno", None) in _NO_WAY for cause in causes):
        return (
            "found no way to that computer, wanted one; check the network of this gate, and the address in roster.url"
        )
    return "found a connection that broke off, wanted a whole answer; check the network, then the collector's log"


#: In this order: kinds of causes, and what is said.
_NO_ANSWER: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    (
        (requests.exceptions.ProxyError,),
        (
            "found a proxy that does not let it through, wanted the collector; check the proxy in the environment of the gate"
            " (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)"
        ),
    ),
    (
        (ssl.SSLError,),
        "found no TLS on that port, wanted it because the address begins with https://; check the port in roster.url",
    ),
    (
        (socket.gaierror,),
        (
            "found no computer of that name, wanted the collector; check the name in roster.url, and that this gate can look"
            " names up (getent hosts NAME)"
        ),
    ),
    (
        (ConnectionRefusedError,),
        (
            "found no program on that port (connection refused), wanted the collector; check that it runs, and the address"
            " and port in roster.url"
        ),
    ),
    (
        (requests.Timeout, TimeoutError),
        (
            "found no answer after {silent_s:g} s, wanted one in that time; check that the collector runs, and that no firewall"
            " is between it and this gate"
        ),
    ),
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and all that it was made of: requests and each urllib3 keep that in other places."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        parts = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [part for part in parts if isinstance(part, BaseException)]


@contextlib.contextmanager
def session(limit_s: float) -> Iterator[requests.Session]:
    """Return a session for one answer. Raises CutError when the answer was not complete after `limit_s` seconds."""
    lock = threading.Lock()
    cut = threading.Event()
    #: A duplicate of each connection: a socket that TLS has wrapped cannot be shut down any more.
    handles: list[socket.socket] = []

    def opened(connection: socket.socket) -> None:
        with lock:
            handles.append(connection.dup())
            if cut.is_set():
                handles[-1].shutdown(socket.SHUT_RDWR)

    def end() -> None:
        with lock:
            cut.set()
            for handle in handles:
                with contextlib.suppress(OSError):  # the connection has ended already
                    handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    with requests.Session() as http:
        for scheme in ("http://", "https://"):
            http.mount(scheme, _Adapter(opened))
        timer.start()
        try:
            yield http
        except Exception:
            if not cut.is_set():
                raise
        finally:
            timer.cancel()
            with lock:
                for handle in handles:
                    handle.close()
                handles.clear()
    if cut.is_set():
        raise CutError(f"found no complete answer after {limit_s:g} s")


class _Adapter(HTTPAdapter):
    """Reports each connection that it opens, directly or through a proxy."""

    def __init__(self, opened: Callable[[socket.socket], None]) -> None:
        self._opened = opened
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the pool of a server, as ``requests`` asks for it."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if not hasattr(pool.ConnectionCls, "opened"):
            bases = (_ReportingConnection, pool.ConnectionCls)
            pool.ConnectionCls = type("ReportingConnection", bases, {"opened": staticmethod(self._opened)})
        return pool


class _ReportingConnection:
    """A mixin for urllib3's connections, which reports a connection before anything is awaited on it."""

    opened: Callable[[socket.socket], None]

    def _new_conn(self) -> socket.socket:
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]  # of urllib3's class, the other base
        self.opened(connection)
        return connection

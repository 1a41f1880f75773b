"""An HTTP session that ends after a time limit, even where the server keeps sending single bytes.

``requests`` limits how long a server is silent, not how long its answer takes, and a thread that waits for the next
byte cannot check the clock. So a timer shuts the connection down: the wait (for TLS, a proxy, headers, the body) then
ends as if the server had closed the connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from fabgate.errors import UsageError


class CutError(UsageError):
    """The answer was not complete in time."""


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

"""How is a server that sends one byte now and then kept from holding a fetch for ever? Its connection is cut.

``requests`` limits how long a server is silent, not how long its answer takes, and a thread that waits for the next
byte cannot look at the clock. So another one does, and shuts the connection down below it: whatever was waited for
(TLS, a proxy, headers, body) then ends as if the server had hung up.
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
    """The answer was not whole in time."""


@contextlib.contextmanager
def session(limit_s: float) -> Iterator[requests.Session]:
    """Give a session for one answer, which has so many seconds to be whole. Raises CutError when it was not."""
    lock = threading.Lock()
    cut = threading.Event()
    #: Each connection once more: what TLS wraps is no longer ours to shut down.
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
                with contextlib.suppress(OSError):  # it ended by itself
                    handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    with requests.Session() as found:
        for scheme in ("http://", "https://"):
            found.mount(scheme, _Adapter(opened))
        timer.start()
        try:
            yield found
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
        raise CutError(f"found no whole answer after {limit_s:g} s")


class _Adapter(HTTPAdapter):
    """Tells of each connection that it opens, directly or through a proxy."""

    def __init__(self, opened: Callable[[socket.socket], None]) -> None:
        self._opened = opened
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the pool of a server, as ``requests`` asks for it."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if not hasattr(pool.ConnectionCls, "opened"):
            pool.ConnectionCls = type("Telling", (_Telling, pool.ConnectionCls), {"opened": staticmethod(self._opened)})
        return pool


class _Telling:
    """What is mixed into urllib3's connections: it tells of one before anything is waited for on it."""

    opened: Callable[[socket.socket], None]

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        self.opened(made)
        return made

"""A network cable between a gate and the broker that can be pulled, without touching the gate."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Final

_CHUNK: Final = 65536


class Cable:
    """Forwards TCP from a local port to `target_port`, both on the loopback, until it is pulled.

    A pulled cable drops open connections at once and refuses new ones, until it is plugged in again.
    """

    def __init__(self, target_port: int) -> None:
        self._listeners: list[socket.socket] = []
        self._pulled = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.port = self.lead_to(target_port)

    @property
    def is_pulled(self) -> bool:
        """Whether the cable is pulled."""
        return self._pulled.is_set()

    def lead_to(self, target_port: int) -> int:
        """Forward to another port through the same cable; return the local port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)
        port = int(listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(listener, target_port), name=f"cable-{port}", daemon=True).start()
        return port

    def pull(self) -> None:
        """Cut every connection and refuse new ones."""
        self._pulled.set()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def plug(self) -> None:
        """Let connections through again."""
        self._pulled.clear()

    def close(self) -> None:
        """Close the cable for good."""
        self._closed.set()
        self.pull()
        for listener in self._listeners:
            listener.close()

    def _accept(self, listener: socket.socket, target_port: int) -> None:
        while not self._closed.is_set():
            try:
                near, _ = listener.accept()
            except OSError:
                return
            if self._pulled.is_set():
                near.close()
                continue
            threading.Thread(target=self._forward, args=(near, target_port), daemon=True).start()

    def _forward(self, near: socket.socket, target_port: int) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", target_port), timeout=5)
        except OSError:
            near.close()
            return
        pair = {near: far, far: near}
        with self._lock:
            self._open |= pair.keys()
        try:
            with selectors.DefaultSelector() as ready:
                for sock in pair:
                    sock.settimeout(None)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    ready.register(sock, selectors.EVENT_READ)
                while not self._pulled.is_set():
                    for key, _ in ready.select(timeout=0.2):
                        source = key.fileobj
                        assert isinstance(source, socket.socket)
                        data = source.recv(_CHUNK)
                        if not data:
                            return
                        pair[source].sendall(data)
        except OSError:
            return  # a connection broke, as with a real cable
        finally:
            with self._lock:
                self._open -= pair.keys()
            for sock in pair:
                sock.close()

"""An emulated Shelly plug behind HTTP, with the faults of a network.

    with EmulatedShelly(Plug("let me in")) as shelly:
        shelly.plug.load_w = 60
        print(shelly.port, shelly.plug.on)

A gate with ``output: {driver: shelly, host: 127.0.0.1, port: PORT, …}`` then switches it (docs/outputs).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Final, Self

from fabgate.drivers.emulated.outputs.plug import Plug, Reply

_MOST_BYTES: Final = 8_192
_WORDS: Final = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class EmulatedShelly:
    """A plug at a port of this computer. It answers one request after another, as the device does.

    The faults: `delay_s` before each answer; `hangs`, it takes requests and never answers; `loses_requests`, they are not
    carried out; `loses_answers`, they are carried out, and the connection ends; `repeats`, each is carried out again after
    its answer, as if the network had doubled it; `answers`, these bytes instead of an answer.
    """

    def __init__(self, plug: Plug, port: int = 0) -> None:
        self.plug = plug
        self.delay_s = 0.0
        self.hangs = False
        self.loses_requests = False
        self.loses_answers = False
        self.repeats = False
        self.answers: bytes | None = None
        #: The first line of each request, as it came.
        self.requests: list[str] = []
        self._port = port
        self._held: list[socket.socket] = []
        self._server: socket.socket | None = None
        self.plug_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pull_out()

    @property
    def port(self) -> int:
        """The port at which it listens; the same after ``pull_out`` and ``plug_in``."""
        return self._port

    def plug_in(self) -> None:
        """Let it appear in the network."""
        self._server = socket.create_server(("127.0.0.1", self._port))
        self._port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._server,), name="emulated-shelly", daemon=True).start()

    def pull_out(self) -> None:
        """Let it vanish from the network; its relay and its timer go on."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        while self._held:
            self._held.pop().close()

    def _serve(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError, ValueError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(1.0)
        data = b""
        while b"\r\n\r\n" not in data and len(data) < _MOST_BYTES:
            part = connection.recv(_MOST_BYTES)
            if not part:
                return
            data += part
        first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        target = first.split(" ")[1]
        self.requests.append(target)
        if self.hangs:
            self._held.append(connection)
            return
        with connection:
            if self.loses_requests:
                return
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            proof = fields.get("authorization", "")
            reply = self.plug.answer(target, proof)
            time.sleep(self.delay_s)
            if not self.loses_answers:
                connection.sendall(_written(reply) if self.answers is None else self.answers)
            if self.repeats:
                self.plug.answer(target, proof)


def _written(reply: Reply) -> bytes:
    headers = [*reply.headers, ("Server", "ShellyHTTP/1.0.0"), ("Content-Length", str(len(reply.body)))]
    lines = [
        f"HTTP/1.1 {reply.status} {_WORDS.get(reply.status, 'Error')}",
        *(f"{name}: {text}" for name, text in headers),
    ]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + reply.body

"""Drives a paho client in one thread, the only one that reads from its socket or writes to it.

By default paho's ``publish`` writes in the thread that calls it, while the network loop writes acknowledgements in its
own. Two threads that write to one TLS connection corrupt it: the broker ends it with "bad record mac". With a callback
``on_socket_register_write`` paho does not write: a publish only queues its packet and wakes the thread of this loop.

There is a second reason not to use paho's own loops: an exception in a callback ends paho's thread while
``is_connected`` stays true. Here it leaves ``Driver.run``, in a thread that is restarted.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

#: How long one turn waits for the socket; pings and disconnections are handled at most this late.
TURN_S: Final = 1.0
#: How long sending DISCONNECT may take.
GOODBYE_S: Final = 0.5
_OK: Final = MQTTErrorCode.MQTT_ERR_SUCCESS


class Driver:
    """Drives one client. Call `run`, `say_goodbye` and `close` from one thread; the other methods are thread-safe."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        #: Wakes the loop while it runs. Before it waits, the loop checks for packets and for the end.
        self._waker: socket.socket | None = None
        self._waking = threading.Lock()
        #: The thread that runs the loop. Its own packets need no waking: it checks for packets before it waits.
        self._runner: int | None = None
        self._is_waiting = False
        client.on_socket_register_write = lambda *_: self._packet_was_queued()

    def run(self, goes_on: Callable[[], bool], *, turn_s: float = TURN_S) -> None:
        """Read and write until the connection ends or `goes_on`, which is called every `turn_s` seconds, returns False.

        Raises what a callback of the client raises.
        """
        woken, waker = socket.socketpair()
        woken.setblocking(False)
        waker.setblocking(False)
        self._waker, self._runner = waker, threading.get_ident()
        try:
            while goes_on() and self._turn(woken, turn_s):
                pass
        finally:
            self._runner = None
            with self._waking:
                self._waker = None
            woken.close()
            waker.close()

    def say_goodbye(self, reason: str = "Normal disconnection") -> None:
        """Send DISCONNECT with this reason of MQTT 5, and close the socket."""
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, reason))
        until = time.monotonic() + GOODBYE_S
        self.run(lambda: time.monotonic() < until, turn_s=GOODBYE_S)

    def wake(self) -> None:
        """End the wait of the current turn."""
        with self._waking, contextlib.suppress(BlockingIOError):  # the pipe is full, so the loop is awake already
            if self._waker is not None:
                self._waker.send(b"\0")

    @property
    def has_unread(self) -> bool:
        """Return whether data has arrived that the callbacks have not received yet.

        It asks the kernel, and only while the loop waits and has read all decrypted data: no other thread may use the
        TLS connection.
        """
        if self._runner is None:
            return False
        if not self._is_waiting:
            return True
        sock = self._client.socket()
        if sock is None:
            return False
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLIN)
            return bool(poll.poll(0))
        return False

    def close(self) -> None:
        """Drop the connection if it is still open."""
        with contextlib.suppress(OSError):
            self._client._sock_close()  # noqa: SLF001 - paho has no public way to drop a connection at once

    def _packet_was_queued(self) -> None:
        if threading.get_ident() != self._runner:
            self.wake()

    def _turn(self, woken: socket.socket, turn_s: float) -> bool:
        """Wait until the socket is ready, and read and write; return whether the connection is still open."""
        sock = self._client.socket()
        if sock is None:
            return False
        # A poll does not show data that TLS has decrypted already.
        has_decrypted = _decrypted(sock) > 0
        ready = self._wait(sock, woken, 0.0 if has_decrypted else turn_s)
        if (has_decrypted or ready & ~select.POLLOUT) and self._client.loop_read() is not _OK:
            return False
        # Called also with nothing to write: only this call makes paho report the next packet. Until then paho assumes
        # that the loop knows of it, even if the loop has just written the last one.
        if self._client.loop_write() is not _OK:
            return False
        return self._client.loop_misc() is _OK

    def _wait(self, sock: Any, woken: socket.socket, wait_s: float) -> int:
        """Return what the socket is ready for. A packet that another thread queues ends the wait."""
        poll = select.poll()  # not select(), which cannot handle file descriptors above 1,023
        poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        poll.register(woken.fileno(), select.POLLIN)
        self._is_waiting = wait_s > 0
        ready = dict(poll.poll(wait_s * 1000))
        self._is_waiting = False
        if ready.get(woken.fileno()):
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
        return ready.get(sock.fileno(), 0)


def _decrypted(sock: Any) -> int:
    """Return how many decrypted bytes a TLS socket has that were not read yet; 0 for any other socket."""
    return sock.pending() if hasattr(sock, "pending") else 0

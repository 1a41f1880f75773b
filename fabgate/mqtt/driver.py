"""How is a paho client driven? By one thread, the only one that reads from the socket or writes to it.

Left to itself, paho's ``publish`` writes from the thread that calls it while the network loop writes acknowledgements
from its own. Two threads in one TLS connection tear its stream: the broker ends it with "bad record mac". paho leaves
the socket alone once it is told that somebody else waits for it (``on_socket_register_write``): a publish then only
queues its packet, and wakes the thread that runs this loop.

paho's own loops are not used for a second reason: they do not watch themselves. An exception in a callback kills paho's
thread while ``is_connected`` stays true. Here it leaves ``Driver.run``, in a thread of ours that is watched.
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

#: How long one turn waits for something to happen, in seconds; pings and ends are noticed so late at most.
TURN_S: Final = 1.0
#: How long a goodbye may take to be written.
GOODBYE_S: Final = 0.5
_OK: Final = MQTTErrorCode.MQTT_ERR_SUCCESS


class Driver:
    """Drives one client. `run`, `say_goodbye` and `close` belong to one thread; the others may be called from any."""

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        #: What wakes the loop, while it runs: it looks for packets, and asks whether to go on, before it first waits.
        self._waker: socket.socket | None = None
        self._waking = threading.Lock()
        #: Who runs the loop. Its own packets need no waking: it looks for packets before it waits.
        self._runner: int | None = None
        self._is_waiting = False
        client.on_socket_register_write = lambda *_: self._packet_was_queued()

    def run(self, goes_on: Callable[[], bool], *, turn_s: float = TURN_S) -> None:
        """Read and write until the connection is gone, or `goes_on`, asked every `turn_s` seconds, says no.

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
        """Send DISCONNECT with this reason of MQTT 5, which also closes the socket."""
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, reason))
        until = time.monotonic() + GOODBYE_S
        self.run(lambda: time.monotonic() < until, turn_s=GOODBYE_S)

    def wake(self) -> None:
        """Let a turn that waits end now."""
        with self._waking, contextlib.suppress(BlockingIOError):  # full: then it is awake
            if self._waker is not None:
                self._waker.send(b"\0")

    @property
    def has_unread(self) -> bool:
        """Whether more has arrived than the callbacks were given.

        Asks the kernel only while the loop waits: then it has taken everything that TLS had decrypted before. The TLS
        connection itself is the loop's alone.
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
        """Drop the connection where there still is one."""
        with contextlib.suppress(OSError):
            self._client._sock_close()  # noqa: SLF001 - paho has no public way to drop a connection at once

    def _packet_was_queued(self) -> None:
        if threading.get_ident() != self._runner:
            self.wake()

    def _turn(self, woken: socket.socket, turn_s: float) -> bool:
        """Wait until something can be done, and do it; return whether there still is a connection."""
        sock = self._client.socket()
        if sock is None:
            return False
        # What TLS has decrypted already, no poll shows.
        has_decrypted = _decrypted(sock) > 0
        ready = self._wait(sock, woken, 0.0 if has_decrypted else turn_s)
        if (has_decrypted or ready & ~select.POLLOUT) and self._client.loop_read() is not _OK:
            return False
        # Also with nothing to write: only this makes paho report the next packet. It reports none while it believes that
        # the loop knows already, and it may come to believe so just after the loop has written the last one.
        if self._client.loop_write() is not _OK:
            return False
        return self._client.loop_misc() is _OK

    def _wait(self, sock: Any, woken: socket.socket, wait_s: float) -> int:
        """Return what the socket is ready for. Packets that others queue from here on wake it."""
        poll = select.poll()  # not select(), which knows no file beyond the 1,024th
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
    """Return how many bytes a TLS socket has decrypted and not handed over; 0 for any other socket."""
    return sock.pending() if hasattr(sock, "pending") else 0

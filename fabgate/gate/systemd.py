"""Notifies systemd that the gate is ready, alive or stopping: sd_notify(3) in twenty lines.

The watchdog is fed by the loop that owns the relay, after its checks, so that a stuck loop is killed. Without
NOTIFY_SOCKET (a terminal, a demo) nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket


def notify(*lines: str) -> None:
    """Send lines such as ``READY=1``.

    Never raises or blocks: a service manager that does not read must not stop the loop.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.sendto("\n".join(lines).encode(), address)


def watchdog_s() -> float | None:
    """Return how often systemd wants a sign of life (half of its limit), or None."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit.isdecimal() or pid != str(os.getpid()):
        return None
    return int(limit) / 2_000_000

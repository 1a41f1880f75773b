"""Chooses TCP ports for the demo's servers, which must be able to restart on the same port.

A port that the system chooses (bind to 0) is in the range of outgoing connections: another program may get it while the
server restarts. So these ports are below that range, and reserved until this process ends: two demos on one computer
never choose the same.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

from fabgate.errors import FabgateError

#: Below the range of outgoing connections on every Linux (32768 unless set otherwise), above the well-known services.
_FIRST: Final = 10_000
_LAST: Final = 30_000
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a free port of 127.0.0.1, reserved against other callers of this function.

    Raises FabgateError if none is found.
    """
    last = min(_LAST, int(_RANGE.read_text(encoding="ascii").split()[0])) if _RANGE.exists() else _LAST
    for port in random.sample(range(_FIRST, max(last, _FIRST + 1_000)), 200):
        if _keep(port) and _nobody_listens(port):
            return port
    raise FabgateError(f"no free port was found between {_FIRST} and {last}; stop some of what listens there")


def _keep(port: int) -> bool:
    # A name in Linux's abstract socket space: only one process can have it, and it leaves no file behind.
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0fabgate-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()  # held until this process ends
    return True


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""Which TCP port may a server of the demo have, so that it can stop and start again on the same one?

A port that the system hands out (bind to 0) is out of the range from which every outgoing connection takes its own: a
neighbour may have it by the time the server comes back. So a port below that range is taken, and kept for as long as
this process lives: two demos side by side never choose the same.
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
    """Return a port of 127.0.0.1 that nobody listens on, and that no other process which asks here will be given.

    Raises FabgateError where none is found.
    """
    last = min(_LAST, int(_RANGE.read_text(encoding="ascii").split()[0])) if _RANGE.exists() else _LAST
    for port in random.sample(range(_FIRST, max(last, _FIRST + 1_000)), 200):
        if _keep(port) and _nobody_listens(port):
            return port
    raise FabgateError(f"no free port was found between {_FIRST} and {last}; stop some of what listens there")


def _keep(port: int) -> bool:
    # A name in Linux's abstract socket space: bound by one process at a time, gone with it, and no file stays behind.
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

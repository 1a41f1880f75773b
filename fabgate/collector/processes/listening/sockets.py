"""Sockets that systemd has opened for us: this process has no right to open port 443 or 80 itself.

See sd_listen_fds(3). The units that open them are systemd/fabgate-collector-https.socket and fabgate-collector-http.socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from fabgate.errors import UsageError

#: What FileDescriptorName= of the units says: pages and rosters with TLS, and what port 80 serves.
HTTPS: Final = "https"
HTTP: Final = "http"
#: The number of the first file that systemd hands over (SD_LISTEN_FDS_START).
_FIRST: Final = 3


def handed_over(environ: MutableMapping[str, str] = os.environ) -> dict[str, list[socket.socket]]:
    """Return the sockets that systemd has handed to this process, by name, and remove their variables from `environ`.

    Raises UsageError for a socket that is not one of ours.
    """
    process, count, names = (environ.pop(f"LISTEN_{name}", "") for name in ("PID", "FDS", "FDNAMES"))
    # They may be those of a process that started this one.
    if process != str(os.getpid()) or not count.isdecimal():
        return {}
    found: dict[str, list[socket.socket]] = {}
    told = [*names.split(":"), *[""] * int(count)][: int(count)]
    for number, name in enumerate(told, _FIRST):
        if name not in {HTTPS, HTTP}:
            raise UsageError(
                f"systemd has handed over a socket with the name {name!r}, wanted {HTTPS!r} or {HTTP!r}; set"
                " FileDescriptorName= in its unit"
            )
        bound = socket.socket(fileno=number)
        bound.set_inheritable(False)
        if not bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise UsageError(f"the socket {name!r} of systemd accepts no connections; wanted Accept=no in its unit")
        found.setdefault(name, []).append(bound)
    return found

"""A process that ends the gates if the demo itself is killed.

Its standard input lists the processes, ``+PID`` or ``-PID`` on each line, and the links to emulated serial devices, by
their paths. Only the demo has the other end of the pipe open, so the pipe is closed when the demo ends, even if it is
killed. Then the links are removed, before the system gives their devices to another terminal, which a gate would take
for its reader. Every process that still runs gets SIGTERM, and SIGKILL if it does not end. The guard is started by its
path, without the rest of fabgate, so that it listens as soon as possible.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from pathlib import Path
from typing import Final

#: How long a gate gets to switch off, record the end of its session and stop, in seconds.
PATIENCE_S: Final = 5.0


def main() -> int:
    """Read until the pipe ends, then remove the links and end the processes that are left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the guard must outlive the demo
    kept: dict[int, int] = {}
    links: list[str] = []
    for line in sys.stdin:
        if line[0] == "/":
            links.append(line.rstrip("\n"))
            continue
        pid = int(line[1:])
        if pid in kept:
            os.close(kept.pop(pid))
        if line[0] == "+":
            # a pidfd, because another process may get the process id
            with contextlib.suppress(ProcessLookupError):
                kept[pid] = os.pidfd_open(pid)
    for link in links:
        Path(link).unlink(missing_ok=True)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for handle in kept.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
        _wait_for(list(kept.values()), PATIENCE_S)
    return 0


def _wait_for(handles: list[int], patience_s: float) -> None:
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    left = len(handles)
    while left:
        ended = poll.poll(patience_s * 1000)
        if not ended:
            return
        for handle, _ in ended:
            poll.unregister(handle)
        left -= len(ended)


if __name__ == "__main__":
    sys.exit(main())

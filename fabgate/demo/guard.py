"""Who ends the gates when the demo itself is killed? This process, which does nothing else.

It is told on its standard input which processes there are: ``+PID`` and ``-PID``, a line each. The pipe's other end is
held by the demo alone, so that the pipe ends when the demo does, however it does; then what still runs is asked to end,
and killed if it does not. It is started by its path, without the rest of fabgate: the sooner it listens the better.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from typing import Final

#: A gate switches off, writes down the end of its session and stops; who has not done so by then never will.
PATIENCE_S: Final = 5.0


def main() -> int:
    """Listen until the pipe ends, then end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the demo has, and not before
    kept: dict[int, int] = {}
    for line in sys.stdin:
        pid = int(line[1:])
        if pid in kept:
            os.close(kept.pop(pid))
        if line[0] == "+":
            # A handle, and not the number: that may be another process's by the time.
            with contextlib.suppress(ProcessLookupError):
                kept[pid] = os.pidfd_open(pid)
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

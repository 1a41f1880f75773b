"""How much memory and processor time does a process take? Read from /proc, with its children on request."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Self

MIB = 1024 * 1024


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process; shared pages count in full."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(pid: int) -> float:
    """Return the processor time of all threads of a process, to the nanosecond as the scheduler counts it."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            total_ns += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total_ns / 1e9


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


class Peak:
    """Watches the memory of a process tree from a thread of its own."""

    LOOK_S = 0.005

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                self.mib = max(self.mib, sum(rss_mib(one) for one in tree(self._pid)))
            self._ended.wait(self.LOOK_S)

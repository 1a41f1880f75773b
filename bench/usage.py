"""How much memory and processor time does a process take? Read from /proc."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process, shared pages in full; with VmHWM the most that it was."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(pid: int) -> float:
    """Return the processor time of all threads of a process, to the nanosecond as the scheduler counts it."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            total_ns += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total_ns / 1e9


def core_share(seconds: float, *, pid: int = 0) -> float:
    """Return the share of a core that a process, or this one, takes for some seconds, in percent."""
    spent_s: Callable[[], float] = (lambda: cpu_s(pid)) if pid else time.process_time
    before_s, began_s = spent_s(), time.perf_counter()
    time.sleep(seconds)
    return 100 * (spent_s() - before_s) / (time.perf_counter() - began_s)


def tree_mib(pid: int) -> float:
    """Return the resident memory of a process and all its descendants."""
    found, total = [pid], 0.0
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    for one in found:
        with contextlib.suppress(OSError):
            total += rss_mib(one)
    return total


class Repeated:
    """Does something again and again in a thread of its own, while the block runs."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def once(self) -> None:
        """Do it once."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.once()
            self._ended.wait(self._pause_s)


class Peak(Repeated):
    """The most memory that a process takes, with its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(0.005)
        self.mib = 0.0
        self._pid = pid

    def once(self) -> None:
        """Look at it."""
        with contextlib.suppress(OSError):
            self.mib = max(self.mib, tree_mib(self._pid))


def own_peak_mib() -> float:
    """Return the most memory that this process took since the last `forget_peak`."""
    return rss_mib(os.getpid(), "VmHWM")


def forget_peak() -> None:
    """Let the peak of this process count from here."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

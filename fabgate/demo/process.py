"""How is one of our commands run as a process of its own, so that none goes on when the demo is gone?"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fabgate.demo import guard
from fabgate.errors import FabgateError

#: What has not come by then never will; a slow computer with much to do needs a fraction of it.
WAIT_S: Final = 120.0
LOOK_S: Final = 0.02


class DemoError(FabgateError, RuntimeError):
    """The demo did not go as it should."""


def wait_for(what: str, found: Callable[[], bool], *, timeout_s: float = WAIT_S) -> None:
    """Wait until `found`; raise DemoError saying what was waited for."""
    until = time.monotonic() + timeout_s
    while not found():
        if time.monotonic() > until:
            raise DemoError(f"waited {timeout_s:.0f} s for {what}, and it did not come")
        time.sleep(LOOK_S)


class Process:
    """One of our commands in a process of its own; what it says goes to `log`."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "fabgate", *arguments]
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            # In a session of its own: Ctrl-C and a terminal that closes are the demo's, which ends all in order.
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        _guard.tell("+", self._process.pid)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        try:
            code = self._process.wait(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise DemoError(
                f"{self._command[3]} did not end within {WAIT_S:.0f} s; its words are in {self._log}"
            ) from None
        _guard.tell("-", self._process.pid)
        return code

    def words(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


class _Guard:
    """The process that ends all others when this one is gone; started with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, sign: str, pid: int) -> None:
        """Let it know of a process that has started (+) or ended (-)."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", guard.__file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
                atexit.register(self._end, self._process)
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # somebody killed it: the demo goes on without
                self._process.stdin.write(f"{sign}{pid}\n".encode())
                self._process.stdin.flush()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let go of it; it ends whatever was left running."""
        with contextlib.suppress(BrokenPipeError):
            process.communicate()


_guard: Final = _Guard()

"""Runs commands of fabgate as processes that end with the demo."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from fabgate.demo.processes import guard
from fabgate.demo.waiting import WAIT_S, DemoError


class Process:
    """A command of fabgate in a process of its own; its output goes to `log`."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "fabgate", *arguments]
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        with self._log.open("ab") as log:
            # In a session of its own, so that the demo handles Ctrl-C and a closed terminal, and ends all processes in
            # order.
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        _guard.report(f"+{self._process.pid}")

    @property
    def running(self) -> bool:
        """Whether the process runs now."""
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
                f"{self._command[3]} did not end within {WAIT_S:.0f} s and was killed; see its log {self._log}"
            ) from None
        _guard.report(f"-{self._process.pid}")
        return code

    def last_lines(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def remove_after_the_demo(link: Path) -> None:
    """Let a link to an emulated device vanish with the demo, even if that is killed."""
    _guard.report(str(link.absolute()))


class _Guard:
    """The process that ends the others after the demo; it starts with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def report(self, line: str) -> None:
        """Report a process that has started (+PID) or ended (-PID), or the absolute path of a link to a device."""
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
            with contextlib.suppress(BrokenPipeError):  # the guard was killed: the demo continues without it
                self._process.stdin.write(f"{line}\n".encode())
                self._process.stdin.flush()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close its input; it ends the processes that still run."""
        with contextlib.suppress(BrokenPipeError):
            process.communicate()


_guard: Final = _Guard()

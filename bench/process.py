"""How every process of a measurement is started, asked and ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from bench.run import ROOT

#: What is measured runs as pip installs it, with compiled modules, also where PYTHONDONTWRITEBYTECODE is set.
INSTALLED = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
WAIT_S = 30.0
#: How long a service of the collector may take to start.
START_S = 60.0
_T = TypeVar("_T")


class BenchError(RuntimeError):
    """A measurement broke: what it waited for did not happen."""


def wait_for(what: str, found: Callable[[], _T], *, timeout_s: float = WAIT_S, look_s: float = 0.01) -> _T:
    """Wait until `found` gives something true; return that."""
    until = time.monotonic() + timeout_s
    while not (value := found()):
        if time.monotonic() > until:
            raise BenchError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(look_s)
    return value


class Process:
    """A module of Python in its own process; ``with`` ends it.

    It takes lines on stdin and answers each with a line of JSON, and ends with its input. With `takes_lines` False its output
    goes to `log`, where its errors go in any case, and SIGTERM ends it. `before` is put before the command.
    """

    def __init__(
        self,
        module: str,
        *arguments: object,
        env: Mapping[str, str] = INSTALLED,
        log: Path | None = None,
        takes_lines: bool = True,
        before: Sequence[str] = (),
    ) -> None:
        self.name = " ".join(map(str, (module, *arguments[:2])))
        self._log = log
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(log.open("ab")) if log else None
            self._logged = out.tell() if out else 0
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", module, *map(str, arguments)],
                cwd=ROOT,
                env=env,
                stdin=subprocess.PIPE if takes_lines else subprocess.DEVNULL,
                stdout=subprocess.PIPE if takes_lines else out,
                stderr=out,
                text=True,
            )
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def send(self, function: str, *arguments: object) -> None:
        """Let it call a function (calls.py)."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([function, *arguments]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Return its next line, decoded."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"{self.name} ended with {self.process.wait(WAIT_S)}: {self.log_tail()}")
        return json.loads(line)

    def call(self, function: str, *arguments: object) -> Any:
        """Let it call a function; return the result."""
        self.send(function, *arguments)
        return self.answer()

    def logs(self, text: str) -> None:
        """Wait until `text` is in its log."""

        def is_there() -> bool:
            assert self._log
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} did not start: {self.log_tail()}")
            return text.encode() in self._log.read_bytes()[self._logged :]

        wait_for(f"{text!r} of {self.name}", is_there, timeout_s=START_S, look_s=0.02)

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:] if self._log else ""

    def finish(self) -> str:
        """Wait until it has done its work; return its remaining output."""
        out = self.process.communicate()[0] or ""
        if self.process.returncode:
            raise BenchError(f"{self.name} ended with {self.process.returncode}: {out[-2000:]}{self.log_tail()}")
        return out

    def end(self) -> None:
        """End it in order, or kill it after a while."""
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        else:
            self.process.terminate()
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def calling(module: str, *, role: str = "", env: Mapping[str, str] = INSTALLED, before: Sequence[str] = ()) -> Process:
    """Return a process in which functions of `module` can be called (calls.py)."""
    return Process("bench.calls", module, *([role] if role else []), env=env, before=before)

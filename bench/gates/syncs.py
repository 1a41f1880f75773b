"""How is a slower disk measured than the one in this computer? strace delays each sync of a process.

A process that strace starts is stopped at its syncs only (seccomp). One that strace attaches to is stopped at each system
call, so it runs slower than with such a disk: its speed is not measured that way.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator


class NotAllowedError(Exception):
    """ptrace is not allowed here."""


@contextlib.contextmanager
def delayed_syncs(pid: int, delay: str) -> Iterator[None]:
    """Delay every sync of a running process ("10s", "5ms"). Raises NotAllowedError."""
    with subprocess.Popen([*_strace(delay), "-p", str(pid)], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        line = tracer.stderr.readline()
        if "attached" not in line:
            raise NotAllowedError(line.strip())
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)  # strace detaches, and the waiting syncs go on
            tracer.stderr.read()


def with_delayed_syncs(delay: str) -> list[str]:
    """Return what to put before a command, to delay its every sync. Raises NotAllowedError."""
    before = [*_strace(delay), "--seccomp-bpf", "--"]
    tried = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise NotAllowedError(tried.stderr.splitlines()[0])
    return before


def _strace(delay: str) -> list[str]:
    if shutil.which("strace") is None:
        raise NotAllowedError("strace is not installed")
    inject = f"inject=fsync,fdatasync:delay_enter={delay}"
    return ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject]

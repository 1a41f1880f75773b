"""How is a slower disk measured than the one that is there? strace holds up each sync of a running process.

What traces a process stops it at each of its system calls, so it runs a little slower than it would on such a disk.
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
    """Let every sync of the process wait so long before it begins ("10s", "5ms"). Raises NotAllowedError."""
    if shutil.which("strace") is None:
        raise NotAllowedError("strace is not installed")
    inject = f"inject=fsync,fdatasync:delay_enter={delay}"
    command = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        said = tracer.stderr.readline()
        if "attached" not in said:
            raise NotAllowedError(said.strip())
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)  # it lets go of the process; what waits goes on
            tracer.stderr.read()

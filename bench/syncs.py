"""How is a slower disk measured than the one that is there? strace delays each sync of a process.

A process that strace starts is stopped at its syncs only (seccomp). One that strace attaches to is stopped at each of
its system calls, so it runs slower than it would on such a disk: figures of its speed are not taken that way.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path


class NotAllowedError(Exception):
    """ptrace is not allowed here."""


@contextlib.contextmanager
def delayed_syncs(pid: int, delay: str) -> Iterator[None]:
    """Let every sync of the process wait so long before it begins ("10s", "5ms"). Raises NotAllowedError."""
    command = [*_strace(delay), "-p", str(pid)]
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


def run_with_slow_syncs(command: Sequence[str], delay: str) -> Iterator[str]:
    """Run a command whose every sync waits so long before it begins; yield the lines that it prints.

    Raises NotAllowedError, and RuntimeError when the command fails.
    """
    traced = [*_strace(delay), "--seccomp-bpf", "--", *command]
    with subprocess.Popen(
        traced, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as process:
        assert process.stdout
        assert process.stderr
        yield from process.stdout
        errors = process.stderr.read().strip()
    if process.returncode and "ptrace" in errors:
        raise NotAllowedError(errors.splitlines()[0])
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {errors}")


def _strace(delay: str) -> list[str]:
    if shutil.which("strace") is None:
        raise NotAllowedError("strace is not installed")
    inject = f"inject=fsync,fdatasync:delay_enter={delay}"
    return ["strace", "-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject]

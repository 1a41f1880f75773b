"""How is a slower disk measured than the one in this computer? strace delays each sync of a process.

A process that strace starts is stopped at its syncs only (seccomp). One that strace attaches to is stopped at each system
call, so it runs slower than with such a disk: its speed is not measured that way.
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
    """Delay every sync of the process ("10s", "5ms"). Raises NotAllowedError."""
    command = [*_strace(delay), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        line = tracer.stderr.readline()
        if "attached" not in line:
            raise NotAllowedError(line.strip())
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)  # strace detaches, and the waiting syncs go on
            tracer.stderr.read()


def run_with_slow_syncs(command: Sequence[str], delay: str) -> Iterator[str]:
    """Run a command and delay its every sync; yield the lines that it prints.

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

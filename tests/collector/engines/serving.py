"""Runs a program that serves on a port of this computer, until the block ends."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.patience import wait


@contextmanager
def serving(command: Sequence[str], folder: Path, address: tuple[str, int]) -> Iterator[None]:
    """Run a command in a folder, and wait until it serves on an address."""

    def answers() -> bool:
        assert process.poll() is None, f"{command[0]} has ended with the code {process.returncode}"
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            return False
        return True

    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait(answers, f"{command[0]} serves on {address}")
            yield
        finally:
            process.terminate()

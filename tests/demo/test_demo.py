"""The demo as a newcomer runs it: the whole day without a terminal, and the live table in one."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

FABGATE = [sys.executable, "-m", "fabgate"]


def test_the_scripted_day_ends_with_books_that_agree(tmp_path: Path) -> None:
    done = subprocess.run(
        [*FABGATE, "demo", "--script", "--data", str(tmp_path / "day")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agree to the millisecond" in done.stdout
    for words in ("kill -9", "the network is cut", "Bob takes over", "broken belt", "m-1 Ada"):
        assert words in done.stdout
    status = subprocess.run(
        [*FABGATE, "audit", "verify", "--config", str(tmp_path / "day" / "laser-1.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert status.returncode == 0
    assert "are whole" in status.stdout


def test_without_a_terminal_the_live_demo_says_what_to_do() -> None:
    done = subprocess.run([*FABGATE, "demo"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "fabgate demo --script" in done.stderr


class Terminal:
    """The live demo in a pseudo-terminal: what it shows, and keys to press."""

    def __init__(self, folder: Path) -> None:
        self.shown = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLUMNS": "150", "LINES": "30"}
            os.execv(sys.executable, [*FABGATE, "demo", "--data", str(folder)])

    def until(self, words: str, *, limit_s: float = 60) -> None:
        end = time.monotonic() + limit_s
        while words not in self.shown:
            assert time.monotonic() < end, f"{words!r} was never shown: {self.shown[-2000:]}"
            if select.select([self.fd], [], [], 0.5)[0]:
                self.shown += os.read(self.fd, 65536).decode(errors="replace")

    def press(self, key: str) -> None:
        self.shown = ""
        os.write(self.fd, key.encode())

    def ended(self) -> int:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_the_live_table_shows_a_tap_a_cut_network_and_a_stranger(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "live")
    terminal.until("3D printer")
    terminal.press("a")
    terminal.until("in use")
    terminal.until("Hello Ada")
    terminal.press("n")
    terminal.until("✗ cut")
    terminal.press("2")
    terminal.press("s")
    terminal.until("Unknown badge")
    terminal.press("q")
    assert terminal.ended() == 0

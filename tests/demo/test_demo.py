"""The demo as a newcomer runs it: the whole day without a terminal, and the live table in one."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from itertools import pairwise
from pathlib import Path

import pytest

from fabgate.demo.live.terminal import has_display
from tests.demo.browser import Browser
from tests.support.patience import HANGS_S, wait

FABGATE = [sys.executable, "-m", "fabgate"]


def test_the_scripted_day_ends_with_books_that_agree(tmp_path: Path) -> None:
    done = subprocess.run(
        [*FABGATE, "demo", "--script", "--data", str(tmp_path / "day")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agree to the millisecond" in done.stdout
    lines = done.stdout.splitlines()
    after_off = [below.split()[0] for line, below in pairwise(lines) if re.search(r"(taps|then) off$|: off at", line)]
    assert after_off == ["off"] * 5, done.stdout  # what the display shows by then, not before
    for words in ("kill -9", "the network is cut", "Bob takes over", "broken belt", "m-1 Ada"):
        assert words in done.stdout
    status = subprocess.run(
        [*FABGATE, "audit", "verify", "--config", str(tmp_path / "day" / "laser-1.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert status.returncode == 0
    assert status.stdout.startswith("ok: ")


def test_without_a_terminal_the_live_demo_says_what_to_do() -> None:
    done = subprocess.run([*FABGATE, "demo"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "fabgate demo --script" in done.stderr


class Terminal:
    """The live demo in a pseudo-terminal of 80 columns and 24 lines: what it shows, and keys to press."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.shown = ""
        self.all = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment}
            quiet = [] if "BROWSER" in environment else ["--no-browser"]
            os.execv(sys.executable, [*FABGATE, "demo", *quiet, "--data", str(folder), *arguments])
        self.settings = termios.tcgetattr(self.fd)

    def until(self, words: str) -> None:
        end = time.monotonic() + HANGS_S
        while words not in self.shown:
            assert time.monotonic() < end, f"{words!r} was never shown: {self.shown[-2000:]}{self._logs()}"
            if select.select([self.fd], [], [], 0.5)[0]:
                self._read()

    def _logs(self) -> str:
        """Return how the log of each process ends, for a failure."""
        logs = {log.name: log.read_text("utf-8", errors="replace")[-1500:] for log in sorted(self.folder.glob("*.log"))}
        return "".join(f"\n--- {name}\n{text}" for name, text in logs.items())

    def _read(self) -> None:
        text = os.read(self.fd, 65536).decode(errors="replace")
        self.shown += text
        self.all += text

    def press(self, key: str) -> None:
        self.shown = ""
        os.write(self.fd, key.encode())

    def ended(self) -> int:
        end = time.monotonic() + HANGS_S
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self._read()
                except OSError:
                    break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def processes(self) -> list[int]:
        """Return what works on this folder: three gates, and the collector's three processes."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if str(self.folder).encode() in words and int(process.name) != self.pid:
                    found.append(int(process.name))
        return found


def rename(terminal: Terminal) -> None:
    """Give the laser and Ada other names in the collector of this demo."""
    (environ,) = {
        Path(f"/proc/{pid}/environ").read_bytes()
        for pid in terminal.processes()
        if b"collector\0web" in Path(f"/proc/{pid}/cmdline").read_bytes()
    }
    env = dict(line.split("=", 1) for line in environ.decode().split("\0") if line)
    renamed = terminal.folder / "renamed.csv"
    renamed.write_text("id,name\nm-1,Grace Martin\n")
    for verb in (["machine-set", "laser", "--title", "Big laser"], ["import-members", str(renamed)]):
        subprocess.run([*FABGATE, "collector", *verb], env=env, check=True, capture_output=True)


def link_in(text: str) -> str:
    found = re.search(r"works once: (\S+)", text)
    assert found
    return found.group(1)


def test_the_live_table_shows_an_opened_link_a_tap_a_cut_network_a_stranger_and_new_names(
    tmp_path: Path,
) -> None:
    opener = tmp_path / "open"
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/asked.new && mv {tmp_path}/asked.new {tmp_path}/asked\n')
    opener.chmod(0o755)
    terminal = Terminal(tmp_path / "live", BROWSER=f"{opener} %s", DISPLAY=":0")
    terminal.until("by a link that works once: http://127.0.0.1:")
    terminal.until("fabgate demo")
    terminal.until("/enter/")
    link = link_in(terminal.all)
    wait((tmp_path / "asked").exists, "a browser being opened")
    assert (tmp_path / "asked").read_text().strip() == link
    page = Browser().get(link)
    assert page.url.endswith("/wall")
    for name in ("Laser 1", "Table saw", "3D printer"):
        assert name in page.text
    terminal.press("o")  # a new link, for another browser
    terminal.until("/enter/")
    assert link not in terminal.shown
    terminal.until("3D printer")
    terminal.press("a")
    terminal.until("in use")
    terminal.until("Hello Ada")
    terminal.press("n")
    terminal.until("✗ cut")
    terminal.press("2")
    terminal.press("s")
    terminal.until("Unknown badge")
    assert len(terminal.processes()) >= 6
    assert termios.tcgetattr(terminal.fd) != terminal.settings
    rename(terminal)
    terminal.until("Big laser")
    terminal.press("2")  # the saw, in whose holder a card stays
    terminal.press("a")
    terminal.until("card Grace")
    terminal.press("q")
    assert terminal.ended() == 0
    assert termios.tcgetattr(terminal.fd) == terminal.settings
    assert terminal.processes() == []


def test_in_french_a_card_stays_in_its_holder_a_dead_gate_is_seen_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "live", "--lang", "fr", NO_COLOR="1")
    terminal.until("by a link that works once: http://127.0.0.1:")
    terminal.until("Scie")
    assert "Prenez un badge" in Browser().get(link_in(terminal.all)).text
    terminal.press("s")
    terminal.until("Badge inconnu")
    terminal.press("\x1b[B")  # an arrow: down to the saw
    terminal.until("Scie: the card stays in it")
    terminal.press("a")
    terminal.until("card Ada")
    terminal.until("Ada begins a session")
    terminal.press("a")
    terminal.until("session of Ada ends (removed)")
    for pid in terminal.processes():
        if "saw-1.yaml" in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
    terminal.until("✗ not running")
    terminal.press("k")
    terminal.until("gate started")
    terminal.press("b")
    terminal.until("Bob is refused: training-missing")
    terminal.press("\x03")
    assert terminal.ended() == 0
    assert termios.tcgetattr(terminal.fd) == terminal.settings
    assert terminal.processes() == []
    assert not re.search("\x1b\\[[0-9;]*[34][0-7]m", terminal.all)


def test_a_terminal_without_accents_that_cannot_place_text_gets_lines_and_sigterm_ends_in_order(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "live", TERM="dumb", PYTHONIOENCODING="ascii")
    terminal.until("laser-1    ? free, power off")
    terminal.press("a")
    terminal.until("Hello Ada / 0:0")  # its clock; the price is another one in peak hours
    terminal.until("Ada begins a session")
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended() == 0
    assert "1 session reached the collector" in terminal.all
    assert "\x1b" not in terminal.all
    assert terminal.processes() == []
    audit = subprocess.run(
        [*FABGATE, "audit", "verify", "--config", str(tmp_path / "live" / "laser-1.yaml")], check=False
    )
    assert audit.returncode == 0


def test_a_demo_that_is_killed_leaves_no_gate_behind(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "live")
    terminal.until("3D printer")
    terminal.press("a")
    terminal.until("Ada begins a session")
    left, links = terminal.processes(), list((tmp_path / "live").rglob("*.rdm"))
    assert len(left) >= 6
    assert links
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    wait(lambda: not terminal.processes(), f"the end of {left}")
    assert not any(link.is_symlink() for link in links)  # another terminal may have the device by now
    # They were asked before they were killed: the session has its end, for a reason of the gate's own.
    entries = subprocess.run(
        [*FABGATE, "journal", "--config", str(tmp_path / "live" / "laser-1.yaml")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "session.ended" in entries
    assert "gate.stopping" in entries


def test_a_display_is_what_a_browser_needs_to_show_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert has_display()

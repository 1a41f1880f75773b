"""A newcomer's first minute."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from bench.figures import PASSES, Figure, Passes, measures
from bench.process import wait_for
from bench.run import Run

PATIENCE_S = 60
LINK = re.compile(r"((http://127\.0\.0\.1:\d+)/enter/[\w-]+)(?=\s)")
GATES = ("laser-1", "saw-1", "printer-1")
IMPORTS = "import django.db.models, django.contrib.auth"


@measures(
    Figure("start of the demo until the floor is there", "s", 5),
    Figure("until all three gates take badges", "s"),
    Figure("one interpreter that imports Django", "s"),
)
def first_page(run: Run) -> Passes:
    """How long does a newcomer wait? From the start of ``fabgate demo`` to the floor in a browser.

    Run as by hand: in a terminal, with a folder of its own. The clock stops when the printed link has been followed and the
    whole floor page has arrived. The three gates start meanwhile; the time until all take badges is reported too. The peer is
    one start of a Python that imports Django: the wait cannot be shorter than that.
    """
    for _ in range(PASSES):
        began_s = time.perf_counter()
        os.waitpid(os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", IMPORTS]), 0)
        django_s = time.perf_counter() - began_s
        yield (*_newcomer(Path(run.socket())), django_s)  # its path is short enough for the demo's own sockets


def _newcomer(folder: Path) -> tuple[float, float]:
    """Run the demo once; return the seconds until the floor is there, and until every gate takes badges."""
    began_s = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        command = [sys.executable, "-m", "fabgate", "demo", "--no-browser", "--data", str(folder)]
        os.execv(sys.executable, command)
    shown = ""

    def found_link() -> list[tuple[str, str]]:
        nonlocal shown
        shown += _drain(terminal)
        return LINK.findall(shown)

    def gates_take_badges() -> bool:
        _drain(terminal)
        return all(_takes_badges(folder, gate) for gate in GATES)

    try:
        (link, origin), *_ = wait_for("the demo's link", found_link, timeout_s=PATIENCE_S, look_s=0)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        for address in (link, f"{origin}/floor"):
            with opener.open(address, timeout=PATIENCE_S) as page:
                assert "SIMULATED" in page.read().decode(), address
        floor_s = time.perf_counter() - began_s
        wait_for("all gates", gates_take_badges, timeout_s=PATIENCE_S, look_s=0)
        return floor_s, time.perf_counter() - began_s
    finally:
        os.kill(pid, signal.SIGTERM)
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            _drain(terminal)
        os.close(terminal)


def _drain(terminal: int) -> str:
    """Return what was written within 20 ms, so that the writer does not block."""
    if not select.select([terminal], [], [], 0.02)[0]:
        return ""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # the other end is closed
        return ""


def _takes_badges(folder: Path, gate: str) -> bool:
    try:
        return json.loads((folder / gate / "status.json").read_text(encoding="utf-8")).get("roster") is not None
    except (OSError, ValueError):
        return False

"""How long does a newcomer wait? From the start of ``fabgate demo`` to the floor in a browser.

Run as by hand: in a terminal, with a folder of its own. The clock stops when the printed link has been followed and the
whole floor page has arrived. The three gates start meanwhile; the time until all take badges is reported too. The peer is
one start of a Python that imports Django: the wait cannot be shorter than that.
"""

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

from bench.harness import PASSES, Figure, Run

PATIENCE_S = 60
GOAL_S = 5
LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/enter/[\w-]+(?=\s)")
GATES = ("laser-1", "saw-1", "printer-1")


def measure(run: Run) -> list[Figure]:
    floors, ready, bare = [], [], []
    for number in range(1, PASSES + 1):
        bare.append(_imports_django())
        folder = Path(run.socket())  # a path short enough for the demo's own sockets
        floor_s, gates_s = _newcomer(folder)
        floors.append(floor_s)
        ready.append(gates_s)
        run.log(f"pass {number}: the floor after {floor_s:.2f} s, all gates ready after {gates_s:.2f} s")
    return [
        run.figure("start of the demo until the floor is there", "s", floors, GOAL_S),
        run.figure("until all three gates take badges", "s", ready),
        run.figure("one interpreter that imports Django", "s", bare),
    ]


def _newcomer(folder: Path) -> tuple[float, float]:
    """Run the demo once; return the seconds until the floor is there, and until every gate takes badges."""
    began_s = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        command = [sys.executable, "-m", "fabgate", "demo", "--no-browser", "--data", str(folder)]
        os.execv(sys.executable, command)
    try:
        link = _read_until_link(terminal)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        for address in (link[0], f"{link[1]}/floor"):
            with opener.open(address, timeout=PATIENCE_S) as page:
                assert "SIMULATED" in page.read().decode(), address
        floor_s = time.perf_counter() - began_s
        while not all(_takes_badges(folder, gate) for gate in GATES):
            _drain(terminal)
            assert time.perf_counter() - began_s < PATIENCE_S, "the gates do not come up"
        return floor_s, time.perf_counter() - began_s
    finally:
        os.kill(pid, signal.SIGTERM)
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            _drain(terminal)
        os.close(terminal)


def _read_until_link(terminal: int) -> tuple[str, str]:
    shown = ""
    until_s = time.perf_counter() + PATIENCE_S
    while not (found := LINK.search(shown)):
        assert time.perf_counter() < until_s, f"no link came: {shown}"
        shown += _drain(terminal)
    return found.group(), found.group(1)


def _drain(terminal: int) -> str:
    """Return what was written, so that the writer does not block."""
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


def _imports_django() -> float:
    began_s = time.perf_counter()
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", "import django.db.models, django.contrib.auth"])
    os.waitpid(pid, 0)
    return time.perf_counter() - began_s

"""What keeps the processes of a small workshop alive, and how do they end? (As processes: test_cli.py.)"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabgate.collector.processes import run
from fabgate.collector.processes.run import Child
from tests.support.patience import HANGS_S, wait


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Let children run this text instead of a verb."""

    def put(text: str) -> None:
        (tmp_path / "program").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "program").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "program"))

    return put


def ended(child: Child, now: float) -> int | None:
    """Look once the process has ended."""
    assert child.process is not None
    child.process.wait(HANGS_S)
    return child.poll_or_start(now)


def test_one_that_keeps_ending_is_started_again_after_a_pause_that_grows_up_to_a_limit(program):
    program("exit 1")
    child, now, pauses = Child(["web"], due_at=0.0), 100.0, []
    for _ in range(8):
        child.poll_or_start(now)
        assert ended(child, now) is None
        pauses.append(child.pause_s)
        child.poll_or_start(now + child.pause_s - 0.1)
        assert child.process is None, "too early"
        now += child.pause_s
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_one_that_ran_for_a_while_begins_with_the_first_pause_again(program):
    program("exit 1")
    child = Child(["web"], due_at=0.0, pause_s=30.0)
    child.poll_or_start(100.0)
    ended(child, 100.0 + run.STEADY_S + 1)
    assert child.pause_s == run.FIRST_PAUSE_S


def test_wrong_input_ends_for_good(program):
    program("exit 2")
    child = Child(["web"], due_at=0.0)
    child.poll_or_start(1.0)
    assert ended(child, 1.0) == 2


def test_one_that_does_not_stop_is_killed(program, tmp_path):
    program(f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 1; done")
    child = Child(["web"], due_at=0.0)
    child.poll_or_start(1.0)
    process = child.process
    wait((tmp_path / "deaf").exists)
    child.stop(time.monotonic() + 0.3)
    assert process.returncode == -signal.SIGKILL


PARENT = """
import os, subprocess, sys
from fabgate.collector.processes.run import ending_with
subprocess.Popen(["sleep", "60"], preexec_fn=ending_with(os.getpid()))
child = subprocess.Popen(["sleep", "60"], preexec_fn=ending_with(os.getpid()))
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_no_child_outlives_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        child = int(parent.stdout.readline())
        assert is_alive(child)
        parent.kill()
    wait(lambda: not is_alive(child))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_child_whose_parent_died_before_it_asked_ends_at_once():
    program = "from fabgate.collector.processes.run import ending_with; ending_with(1 << 30)(); print('it lives')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


SUPERVISOR = """
import sys
from fabgate.collector.processes import run
sys.executable = sys.argv[1]
sys.exit(run.run(takeover=True))
"""


@pytest.fixture
def supervisor(program, tmp_path):
    """`run` itself, whose processes write into `told` when they begin and when they are asked to end."""

    def start(extra: str = "") -> subprocess.Popen[str]:
        told = tmp_path / "told"
        program(
            f"trap 'echo end $3 >> {told}; exit 0' TERM; {extra} echo begin $3 $4 >> {told}; while :; do sleep 0.05; done"
        )
        return subprocess.Popen([*REAL, "-c", SUPERVISOR, str(tmp_path / "program")], stderr=subprocess.PIPE, text=True)

    return start


#: Before the tests put another program in its place.
REAL = [sys.executable]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_when_told_to_end_it_ends_the_pages_first_and_what_stores_last(supervisor, tmp_path):
    with supervisor() as running:
        wait(lambda: len(lines(tmp_path / "told")) >= 3)
        running.terminate()
        errors = running.stderr.read()
    assert (running.returncode, errors) == (0, "")
    begun, ended = lines(tmp_path / "told")[:3], lines(tmp_path / "told")[3:]
    assert sorted(line.strip() for line in begun) == ["begin ingest --takeover", "begin web", "begin worker"]
    assert ended == ["end web", "end worker", "end ingest"]


def test_when_one_says_that_its_input_is_wrong_all_end_with_its_code(supervisor, tmp_path):
    with supervisor('[ "$3" = web ] && exit 2;') as running:
        errors = running.stderr.read()
    assert running.returncode == 2
    assert "web cannot run with these settings: stopping all" in errors

"""Does a SIGKILL lose or double anything, whichever system call of a commit it hits?

A writer of its own process makes a journal, appends, checkpoints, acknowledges and trims, and says after each append
that it returned. strace attaches to it once everything is imported and kills it at the n-th call of one kind; every n
and every kind that occurs is tried.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Change, Draft, Journal, OpenSession

ROOT = Path(__file__).parents[3]
TOPICS = wire.GateTopics("lyon", "laser-1")
CLOCK = wire.Clock(boot="6f1c2a5e-0000-4000-8000-000000000001", boottime_ms=1, synced=True)
PLAN = (("u-1", "u-2"), ("u-3",), ("u-4", "u-5"))
pytestmark = pytest.mark.kills


def drafts(number: int) -> tuple[list[Draft], Change]:
    """Return what the writer appends as its `number`-th transaction: refused and started, progress, ended and refused."""
    refusal = wire.AccessRefused(clock=CLOCK, badge="b" * 64, reasons=["training-missing"])
    made = [Draft(uid, "access.refused", refusal, datetime(2026, 11, 24, tzinfo=UTC)) for uid in PLAN[number]]
    opened = OpenSession("s-1", "m-1", "d" * 64, 7, 0, 0, "boot", 1000, 90_000)
    return made, (Change(opens=opened), Change(), Change(closes=frozenset({"s-1"})))[number]


def write(folder: Path) -> None:
    """Be the writer: wait to be woken, work, and say in a file the number of each append that returned."""
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.kill(os.getpid(), signal.SIGSTOP)
    journal = Journal(folder / "journal.db", TOPICS)
    for number in range(len(PLAN)):
        journal.append(*drafts(number))
        os.write(said, b"%d " % number)
        if number == 0:
            journal.checkpoint("s-1", energised_ms=30_000, running_ms=1, boot_ms=31_000)
            journal.close()
        else:
            journal.acknowledge(2)
            journal.trim(before_ms=0, most=2)
    journal.close()
    os.write(said, b"done")


def serve() -> None:
    """Fork a writer for each folder that is named on stdin: importing everything once saves 0.1 s a kill."""
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            write(Path(line.strip()))
            os._exit(0)
        os.waitpid(pid, os.WUNTRACED)
        os.write(1, b"%d\n" % pid)  # it sleeps
        os.waitpid(pid, 0)
        os.write(1, b"ended\n")


class Server:
    """The process that makes writers."""

    def __init__(self) -> None:
        code = "from tests.gate.journal.test_kill import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, folder: Path, *strace: str) -> list[str]:
        """Run a writer under strace; return what it said. Raises PermissionError when it cannot be traced."""
        pid = int(self._ask(str(folder)))
        command = ["strace", "-f", "-p", str(pid), *strace]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr
            attached = tracer.stderr.readline()
            os.kill(pid, signal.SIGCONT)
            assert self._ask() == "ended"
            tracer.communicate()
        if "attached" not in attached:
            raise PermissionError(attached.strip())
        return (folder / "said").read_text().split()

    def _ask(self, line: str | None = None) -> str:
        assert self._process.stdin
        assert self._process.stdout
        if line is not None:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="module")
def calls(server: Server) -> Counter[str]:
    """How often the writer makes each system call."""
    with tempfile.TemporaryDirectory() as name:
        trace = Path(name) / "trace"
        state = Path(name) / "state"
        state.mkdir()
        try:
            said = server.run(state, "-o", str(trace))
        except PermissionError as error:
            pytest.skip(f"ptrace is not allowed: {error}")
        assert said == ["0", "1", "2", "done"]
        return Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))


def check(folder: Path, said: list[str]) -> None:
    """Open what the kill left: what returned is there once, and the rest can be said again."""
    returned = [number for number in range(len(PLAN)) if str(number) in said]
    journal = Journal(folder / "journal.db", TOPICS)
    journal.open()
    assert journal._rows("PRAGMA integrity_check") == [("ok",)]
    total = sum(len(uids) for uids in PLAN[: len(returned)])
    following = len(PLAN[len(returned)]) if len(returned) < len(PLAN) else 0
    assert journal.head in {total, total + following}
    assert (journal.open_session() is not None) == (0 < journal.head < 5)
    for number in range(len(returned), len(PLAN)):
        journal.append(*drafts(number))
    assert journal.head == 5
    assert journal.anchor[0] <= journal.mark <= 2
    journal.close()
    reader = JournalReader(folder / "journal.db")
    uids = [wire.decode_entry(entry.body).uid for entry in reader.after(0, most=99)]
    assert uids == list(itertools.chain(*PLAN))[reader.bounds()[0] - 1 :]
    assert reader.first_break() is None
    reader.close()


def test_without_a_kill_everything_is_there(server, calls, folder):
    said = server.run(folder, "-o", "/dev/null")
    check(folder, said)
    assert calls["pwrite64"] > 20
    assert calls["fdatasync"] > 5


# Split over the processes of xdist: kill number k is tried by part k modulo PARTS.
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_at_any_system_call_of_a_commit_loses_and_doubles_nothing(part, server, calls, folder):
    kills = [(call, n) for call, times in sorted(calls.items()) for n in range(1, times + 1)][part::PARTS]
    killed = 0
    for call, n in kills:
        state = folder / f"{call}-{n}"
        state.mkdir()
        said = server.run(state, "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={n}")
        killed += said[-1:] != ["done"]
        check(state, said)
    assert killed >= len(kills) * 0.9

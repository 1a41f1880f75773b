"""Runs verbs and gates in processes of their own, as their users do."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from fabgate import cli
from tests.support.patience import HANGS_S, wait

CONFIG = """\
site: lyon
gate: laser-1
state_dir: state
demo: true
machine: {name: Laser 1, limit_s: 600}
reader: {driver: simulated, control_socket: CONTROL}
output: {driver: memory}
panel: {driver: log, file: panel}
roster: {file: members.csv}
clock: {source: assume-synced}
"""


def run_fabgate(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one verb in a process of its own; where coverage is measured, in this one, or nothing would be measured."""
    words = [str(argument) for argument in arguments]
    if "COVERAGE_RUN" in os.environ and words[:1] != ["run"]:
        return in_this_process(words)
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "fabgate", *words],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


def in_this_process(words: list[str]) -> subprocess.CompletedProcess[str]:
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        try:
            code = cli.main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), told.getvalue())


def refused(done: subprocess.CompletedProcess[str], code: int, expected: str) -> None:
    """Assert one clear line, the right exit code, nothing on standard output, and no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert re.search(expected, done.stderr), done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(("error: ", "usage: ")) or ": error: " in last
    assert len(done.stderr) < 1000


def write_gate(folder: Path, text: str = CONFIG) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "members.csv").write_text(
        "id,name,badges,lang\nm-1,Ada,04:A1:B2:C3;04:A1:B2:C5,fr\nm-2,Bob,04:A1:B2:C4,en\n"
    )
    path = folder / "gate.yaml"
    path.write_text(text.replace("CONTROL", str(folder / "control")))
    return path


def status_of(folder: Path) -> dict:
    try:
        return json.loads((folder / "state" / "status.json").read_text())
    except (OSError, ValueError):
        return {}


class RunningGate:
    def __init__(self, folder: Path, text: str = CONFIG) -> None:
        self.folder = folder
        self.config = write_gate(folder, text)
        self.state = folder / "state"
        self.control = folder / "control"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fabgate", "run", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait(lambda: status_of(folder).get("roster") or self.process.poll() is not None, "the start")
        assert self.process.poll() is None, self.process.communicate()[0]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=HANGS_S)[0]


def every_verb(parser: argparse.ArgumentParser, name: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return every verb of the command line, as it is typed."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        return [name]
    return [verb for action in below for key, sub in action.choices.items() for verb in every_verb(sub, (*name, key))]

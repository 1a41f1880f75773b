"""Writes the dated report of `make test-install`: what was tried, how long it took, and what was seen."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.install import builds
from tests.install.images import ROOT

#: The seconds that cases took for something that `make bench` shows.
FIGURES: Final = ROOT / "build/install.json"


class Reporter:
    """Collects how the cases ended, also those of other processes."""

    def __init__(self, folder: Path | None, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._began = time.monotonic()
        self._began_at = datetime.now(UTC)
        self._cases: dict[str, tuple[str, float, list[str]]] = {}
        self._figures: dict[str, object] = {}
        self._complete = False
        self._terminal: pytest.TerminalReporter | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up the phases of each case. A failure of any phase is a failure of the case."""
        outcome, seconds, _ = self._cases.get(report.nodeid, ("passed", 0.0, []))
        if report.outcome != "passed" and outcome == "passed":
            outcome = report.outcome
        seen = [str(text) for name, text in report.user_properties if name == "seen"]
        self._figures |= {name: value for name, value in report.user_properties if name != "seen"}
        self._cases[report.nodeid] = (outcome, seconds + report.duration, seen)
        # At once: a whole run takes an hour, and may be stopped before its end.
        if report.failed:
            self._print(report.longreprtext[-3000:])
        if report.when == "call":
            self._print("\n".join(f"    {text}" for text in seen))
        elif report.when == "teardown":
            self._write()

    def _print(self, text: str) -> None:
        if text and self._terminal is not None:
            self._terminal.ensure_newline()
            self._terminal.write_line(text)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._terminal = session.config.pluginmanager.get_plugin("terminalreporter")

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._complete = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        self._write()
        if self._figures:
            FIGURES.parent.mkdir(exist_ok=True)
            FIGURES.write_text(json.dumps(self._figures) + "\n", "utf-8")

    def _write(self) -> None:
        if self._folder is None or all(outcome == "skipped" for outcome, _, _ in self._cases.values()):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{self._began_at:%Y-%m-%d}.md").write_text(self._text(), "utf-8")

    def _text(self) -> str:
        outcomes = [outcome for outcome, _, _ in self._cases.values()]
        counted = ", ".join(f"{outcomes.count(name)} {name}" for name in ("passed", "failed", "skipped"))
        minutes = (time.monotonic() - self._began) / 60
        stopped = "" if self._complete else " It was stopped before its end."
        described = _says("git", "-C", str(ROOT), "log", "-1", "--format=%h %s")
        lines = [
            f"# Packages tried on {self._began_at:%Y-%m-%d %H:%M} UTC",
            "",
            f"`make test-install` wrote this: {counted}, in {minutes:.0f} minutes, with the seed {self._seed}.{stopped}",
            "",
            f"- commit: {described}",
            f"- this computer: {builds.architecture()}, {_says('systemd-nspawn', '--version').splitlines()[0]}, {_says('uname', '-r')}",
            "- each root has no network but its own; 'next' is this tree with a higher version, 'later' one with a table more",
            "",
            "| case | result | seconds | what was seen |",
            "| --- | --- | --- | --- |",
        ]
        for node, (outcome, seconds, seen) in sorted(self._cases.items()):
            name = node.split("::")[-1].removeprefix("test_").replace("_", " ")
            lines.append(f"| {name} | {outcome} | {seconds:.0f} | {'; '.join(seen).replace('|', '/')} |")
        return "\n".join(lines) + "\n"


def _says(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "?"

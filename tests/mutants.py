"""Do the tests of the rules notice when a rule is broken? Faults made by hand, one at a time.

Each fault replaces a piece of source that must occur exactly once in ``fabgate/rules``, in a temporary copy; the tests
of the rules then run against the copy and must fail. The working tree is never touched. Exit code 1 if a fault goes
unnoticed, or no longer fits the source (then mend the fault, or the rules have lost what it breaks).

    python -m tests.mutants
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Fault:
    """A mistake that somebody might make: `right` becomes `wrong`."""

    name: str
    right: str
    wrong: str


FAULTS = [
    Fault(
        "power on at the tap, before the disk",
        "        self._go(Step.AUTHORISED)\n",
        "        self._go(Step.AUTHORISED)\n        self._out.append(w.SetPower(on=True))\n",
    ),
    Fault(
        "the record before the off",
        """\
            others = [command for command in self._out if not isinstance(command, w.SetPower)]
            self._out = [w.SetPower(on=False), *others]
""",
        "            self._out.append(w.SetPower(on=False))\n",
    ),
    Fault(
        "nothing is decided again when the start is on disk",
        "        if not self._decide_again():  # so that a late disk never powers an empty room\n",
        "        if False:\n",
    ),
    Fault(
        "the emergency stop is ignored while a job is finished",
        "        if cause in w.CUT and self._session is not None:\n",
        "        if cause in w.CUT and self._session is not None and self._phase is not Phase.FINISHING_JOB:\n",
    ),
    Fault(
        "a handover without the disk",
        "        self._go(Step.HANDOVER)\n",
        "        self._go(Step.HANDOVER)\n        self._committed(token)\n",
    ),
    Fault(
        "a job may run for ever",
        "                yield term.finish_until, self._run_on_or_cut\n",
        "                pass\n",
    ),
    Fault(
        "only the first reason of a refusal",
        "        return Decision(None, blocks + own)\n",
        "        return Decision(None, (blocks + own)[:1])\n",
    ),
    Fault(
        "maintainers work despite the emergency stop",
        "    return cause is Cause.FLAG and isinstance(holder, Member)",
        "    return cause in (Cause.FLAG, Cause.ESTOP) and isinstance(holder, Member)",
    ),
    Fault(
        "the pause after unknown badges is for everybody",
        "        if holder is None and not self._strangers.unknown(badge, self._now.boot_ms):\n",
        "        if not self._strangers.unknown(badge, self._now.boot_ms):\n",
    ),
    Fault(
        "the fan's run-on is counted as work",
        "        session.meter = session.meter.run(self._now.boot_ms, on=False)\n",
        "",
    ),
    Fault(
        "the panel asks for a supervisor while the disk is awaited",
        "        kind = SignalKind.SUPERVISOR if phase is Phase.AWAIT_SUPERVISOR else SignalKind.WAIT\n",
        "        kind = SignalKind.WAIT if pending.session.supervisor is None else SignalKind.SUPERVISOR\n",
    ),
    Fault(
        "a limit falls without a warning",
        "            due += [warn_at] if warn_at > self._now.boot_ms else []\n",
        "            pass\n",
    ),
]


def place(fault: Fault) -> Path | None:
    """Return the one file of the rules that `fault` fits, or None."""
    found = [path for path in sorted((ROOT / "fabgate/rules").rglob("*.py")) for _ in range(_count(path, fault))]
    return found[0].relative_to(ROOT) if len(found) == 1 else None


def _count(path: Path, fault: Fault) -> int:
    return path.read_text().count(fault.right)


def tried(fault: Fault | None) -> tuple[int, str]:
    """Run the tests of the rules against a copy with `fault`; return pytest's exit code and what it said last."""
    with tempfile.TemporaryDirectory(prefix="fabgate-mutant-") as folder:
        copy = Path(folder)
        bare = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "fabgate/rules", copy / "fabgate/rules", ignore=bare)
        shutil.copy(ROOT / "fabgate/__init__.py", copy / "fabgate")
        # Not the page of states: a drawing that no longer fits is no proof that behaviour is watched.
        shutil.copytree(
            ROOT / "tests/rules", copy / "tests/rules", ignore=shutil.ignore_patterns("*.pyc", "test_states_page*")
        )
        shutil.copy(ROOT / "tests/__init__.py", copy / "tests")
        shutil.copy(ROOT / "pyproject.toml", copy)
        if fault is not None:
            where = place(fault)
            assert where is not None
            path = copy / where
            path.write_text(path.read_text().replace(fault.right, fault.wrong))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "tests/rules",
            "-x",
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
        ]
        done = subprocess.run(
            [*command, "--tb=line"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    said = (done.stdout + done.stderr).strip().splitlines() or [""]
    return done.returncode, failed[0].split(" - ")[0].removeprefix("FAILED tests/rules/") if failed else said[-1]


def main() -> int:
    lost = [fault for fault in FAULTS if place(fault) is None]
    for fault in lost:
        say(f"does not fit   {fault.name}: its text must occur exactly once in fabgate/rules")
    survived = 0
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        # The rules as they are must pass, or every fault would seem to be noticed.
        runs = {pool.submit(tried, fault): fault for fault in [None, *FAULTS] if fault not in lost}
        for n, run in enumerate(as_completed(runs), 1):
            fault, (code, said) = runs[run], run.result()
            good = code == (0 if fault is None else 1)  # 1: tests failed; anything else is no verdict
            survived += not good
            word = ("noticed" if fault else "unharmed") if good else ("SURVIVED" if fault else "BROKEN")
            name = fault.name if fault else "the rules as they are"
            say(f"{n:2}/{len(runs)} {time.monotonic() - began:5.0f} s  {word:8}  {name}: {said}")
    say(f"{len(FAULTS) - len(lost)} faults tried, {survived + len(lost)} to look at")
    return 1 if survived or lost else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

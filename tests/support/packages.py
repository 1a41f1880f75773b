"""Builds a package of another author as CONTRIBUTING says, installs it into a folder of its own, and runs its contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.patience import HANGS_S

_PIP = ("--disable-pip-version-check", "--no-index", "--no-deps")
_PYTEST = ("pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "-p", "no:schemathesis")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of this interpreter to its end."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


def install(package: Path, module: str, work: Path) -> Path:
    """Build the package without the network, install it, and return the folder, in which nothing else is."""
    source, site = work / "source", work / "site"
    source.mkdir()
    for file in ("pyproject.toml", f"{module}.py"):
        (source / file).write_bytes((package / file).read_bytes())
    built = run("pip", "wheel", *_PIP, "--no-build-isolation", "--wheel-dir", str(work), str(source))
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = work.glob("*.whl")
    done = run("pip", "install", *_PIP, "--target", str(site), str(found))
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def keep_contract(package: Path, site: Path, folder: Path) -> tuple[int, int]:
    """Run contract.py of the package, and return how many tests passed and were skipped."""
    command = (*_PYTEST, "--rootdir", str(folder), str(package / "contract.py"))
    done = run(*command, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    passed, skipped = (re.search(rf"(\d+) {word}", done.stdout) for word in ("passed", "skipped"))
    return int(passed[1]) if passed else 0, int(skipped[1]) if skipped else 0

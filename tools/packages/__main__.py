"""Builds packages into a folder, dist/ by default: see ``--help``, and docs/decisions/0141.

An ordinary user can run it. It needs the network; pip keeps what it has downloaded in its own cache.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tools.packages import apt, compare, deb, trees, wheels
from tools.packages.targets import ARCHITECTURES, DIST, GATE_SUITES, ROOT, SUITES, Architecture, Suite


def main() -> int:
    """Build what the arguments name; return the exit code."""
    arguments = _arguments()
    began = time.monotonic()
    packages: dict[str, list[Path]] = {suite.name: [] for suite in SUITES if suite.name in arguments.suite}
    dist: Path = arguments.dist
    home = None if arguments.key else dist / "trial-key"
    try:
        key = apt.secret_key(arguments.key) if arguments.key else apt.trial_key(dist / "trial-key")
        # A file may have a second key, kept elsewhere, that may sign later.
        keys = arguments.keys.read_text() if arguments.keys else apt.public_key(key, home)
        with tempfile.TemporaryDirectory(prefix="fabgate-packages-") as name:
            work = Path(name)
            python_version, wheel = _wheel(work)
            at = deb.time_of_commit()
            made = _gate(work / "gate", wheel, python_version, at, keys)
            for suite in GATE_SUITES & packages.keys():
                packages[suite] += made
            # Each collector has these, for the gates of its workshop (docs/decisions/0153).
            for_gates = work / "for-gates"
            apt.repository(for_gates, dict.fromkeys(GATE_SUITES, made), key=key, home=home, keys=keys)
            for suite in (one for one in SUITES if one.name in packages):
                collectors = {}
                for architecture in (one for one in ARCHITECTURES if one.name in arguments.arch):
                    folder = work / f"{suite.name}-{architecture.name}"
                    (collectors[architecture.name],) = _collector(
                        folder, wheel, python_version, suite, architecture, at, for_gates
                    )
                compare.check(collectors)
                packages[suite.name] += collectors.values()
            apt.repository(work / "apt", packages, key=key, home=home, keys=keys)
            # Only now, so that a failure leaves what was built before.
            for folder in ("apt", "packages"):
                shutil.rmtree(dist / folder, ignore_errors=True)
            dist.mkdir(parents=True, exist_ok=True)
            shutil.move(work / "apt", dist / "apt")
            (dist / "packages").mkdir()
            for file in {file for files in packages.values() for file in files}:
                shutil.copy(file, dist / "packages")
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{dist / 'apt'}: signed with {key}, in {time.monotonic() - began:.0f} s\n")
    if home:
        sys.stdout.write(
            f"This key is for trials: it has no passphrase, and is in {home}. For a release: make packages KEY=FINGERPRINT\n"
        )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.packages", description=__doc__)
    suites, architectures = [one.name for one in SUITES], [one.name for one in ARCHITECTURES]
    parser.add_argument("--suite", nargs="+", choices=suites, default=suites, help="releases of Debian (default: all)")
    parser.add_argument("--arch", nargs="+", choices=architectures, default=architectures, help="default: all")
    parser.add_argument("--key", help="fingerprint of the secret key, in your GnuPG, that signs the repository")
    parser.add_argument("--keys", type=Path, help="file with the public keys that check it (default: that of --key)")
    parser.add_argument("--dist", type=Path, default=DIST, help=f"the folder that gets the packages (default: {DIST})")
    return parser.parse_args()


def _wheel(work: Path) -> tuple[str, Path]:
    command = [sys.executable, "setup.py", "--quiet", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 (our own)
    return done.stdout.split()[-1], wheels.of_fabgate(work / "wheel")


def _gate(work: Path, wheel: Path, python_version: str, at: datetime, keys: str) -> list[Path]:
    _say("fabgate-gate and fabgate-mfrc522")
    laid_out = work / "source" / "laid-out"
    trees.of_gate(laid_out / "fabgate-gate", wheel, keys)
    trees.of_mfrc522(laid_out / "fabgate-mfrc522", *wheels.of_mfrc522(work / "wheels"))
    return _built(deb.build(laid_out, version=deb.version_of(python_version), at=at))


def _collector(
    work: Path,
    wheel: Path,
    python_version: str,
    suite: Suite,
    architecture: Architecture,
    at: datetime,
    for_gates: Path,
) -> list[Path]:
    _say(f"fabgate-collector for {suite.name} on {architecture.name}")
    laid_out = work / "source" / "laid-out"
    fetched = wheels.of_libraries(work / "wheels", suite, architecture)
    trees.of_collector(laid_out / "fabgate-collector", suite, [wheel, *fetched], for_gates)
    major, minor = suite.python.split(".")
    python = f"python3 (>= {suite.python}), python3 (<< {major}.{int(minor) + 1})"
    version = deb.version_of(python_version, suite)
    return _built(deb.build(laid_out, version=version, at=at, architecture=architecture.name, python=python))


def _built(made: list[Path]) -> list[Path]:
    for file in made:
        sys.stdout.write(f"  {file.name}: {file.stat().st_size / 1e6:.1f} MB\n")
    return made


def _say(text: str) -> None:
    sys.stdout.write(f"building {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Builds .deb files with dpkg-buildpackage and debhelper, from files that are laid out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from tools.packages.targets import ROOT, Suite

_DEBIAN: Final = Path(__file__).parent / "debian"
_MAINTAINER: Final = "The fabgate project <fabgate@fabgate.invalid>"
#: Files beside those of debhelper, and where they are installed.
_MORE: Final = {
    "fabgate-gate.launcher": ("fabgate-gate", "usr/bin/fabgate", 0o755),
    "fabgate-gate.apt-preferences": ("fabgate-gate", "etc/apt/preferences.d/fabgate-gate", 0o644),
    "fabgate-gate.i2c-dev": ("fabgate-gate", "usr/lib/modules-load.d/fabgate-gate.conf", 0o644),
    "fabgate-gate.journald": ("fabgate-gate", "usr/lib/systemd/journald.conf.d/20-fabgate-gate.conf", 0o644),
}


def version_of(python_version: str, suite: Suite | None = None) -> str:
    """Return Debian's form of a version of ours, `0.1.0~dev12+g86cf3d94`, and its form for one release of Debian.

    Debian sorts `~` before the end of a version, so that a commit before a release is older than the release. The number
    of the release comes last, so that an upgrade of Debian brings its own package (Debian Policy, 5.6.12).
    """
    version = re.sub(r"\.dev", "~dev", python_version)
    return f"{version}+deb{suite.release}" if suite else version


def build(
    laid_out: Path, *, version: str, at: datetime, architecture: str | None = None, python: str = ""
) -> list[Path]:
    """Build the packages whose files `laid_out` has, one folder each, and return the .deb files beside it.

    Without an `architecture` those are built that are the same on all computers.
    """
    source = laid_out.parent
    shutil.copytree(_DEBIAN, source / "debian")
    for name, (package, target, mode) in _MORE.items():
        if (laid_out / package).is_dir():
            path = laid_out / package / target
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_DEBIAN / name, path)
            path.chmod(mode)
    date = format_datetime(at)
    entry = f"fabgate ({version}) unstable; urgency=medium\n\n  * CHANGELOG.md says what changed.\n\n -- {_MAINTAINER}  {date}\n"
    (source / "debian/changelog").write_text(entry)
    shutil.copy(ROOT / "CHANGELOG.md", source)
    wanted = ["-A"] if architecture is None else ["-B", f"-a{architecture}"]
    command = ["dpkg-buildpackage", "--no-sign", "--no-check-builddeps", "--no-pre-clean", *wanted]
    more = {
        "SOURCE_DATE_EPOCH": str(int(at.timestamp())),
        "FABGATE_PYTHON": python,
    }
    done = subprocess.run(command, cwd=source, env=os.environ | more, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    if done.returncode:
        raise RuntimeError(f"dpkg-buildpackage failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return sorted(source.parent.glob("*.deb"))


def time_of_commit() -> datetime:
    """Return when the commit was made that is built, so that the same commit makes the same files; without git, now."""
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    return datetime.fromtimestamp(int(done.stdout), UTC) if done.returncode == 0 else datetime.now(UTC)

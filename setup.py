"""Gives each commit a version of its own, and builds from the files of the source folder alone.

The release is `__version__` in fabgate/__init__.py. Commits before it are `0.1.0.dev1856+g86cf3d94`: the number of commits
since the last release, and the commit. Everything else is in setup.cfg (docs/decisions/0124).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PACKAGE = Path("fabgate/__init__.py")
ASSIGNED = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)


def version() -> str:
    """Return the version of this commit; without git, that of the release with `+nogit`."""
    release = ASSIGNED.search((HERE / PACKAGE).read_text("utf-8"))[1]
    try:
        if not (HERE / ".git").exists():  # or git would describe the repository that this folder is in
            raise FileNotFoundError(f"no repository in {HERE}")
        found = git("describe", "--tags", "--long", "--always", "--dirty", "--abbrev=8", "--match=v[0-9]*")
        tag, count, commit, changed = re.fullmatch(r"(?:v(.+)-(\d+)-g)?([0-9a-f]+)(-dirty)?", found).groups()
        if tag == release:
            if count == "0" and not changed:
                return release
            release = re.sub(r"\d+$", lambda last: str(int(last[0]) + 1), release)
        count = count or git("rev-list", "--count", "HEAD")
        return f"{release}.dev{count}+g{commit}{'.changed' if changed else ''}"
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or error
        sys.stderr.write(f"note: git gives no version ({str(why).strip()}): building {release}.dev0+nogit\n")
        return f"{release}.dev0+nogit"


def git(*arguments: str) -> str:
    """Return what git prints, also where the folder belongs to another account. Raises OSError and CalledProcessError."""
    command = ["git", "-c", f"safe.directory={HERE}", "-C", str(HERE), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 (our own)


class BuildPy(build_py):
    """Copies the package, and writes its version into the copy."""

    def run(self) -> None:
        """Copy, then write."""
        super().run()
        if not self.editable_mode:
            copy = Path(self.build_lib) / PACKAGE
            text = ASSIGNED.sub(f'__version__ = "{self.distribution.get_version()}"', copy.read_text("utf-8"))
            copy.write_text(text, "utf-8")


with tempfile.TemporaryDirectory(prefix="fabgate-build-") as folder:
    # A folder `build` in the source folder would keep the files of older commits, and ship them.
    setup(version=version(), cmdclass={"build_py": BuildPy}, options={"build": {"build_base": folder}})

"""Three versions of the packages: those of this tree, and two later ones.

They are built by `tools.packages` and kept for as long as nothing changes that goes into them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from fabgate.collector.ground import migrations
from tests.install.images import CACHE, ROOT, locked
from tools.packages import apt

#: This tree; the same with a higher version; and one whose database has one table more.
THIS, NEXT, LATER = "this", "next", "later"
#: The repository of this tree, signed by somebody else.
FOREIGN = "foreign"
NUMBERS: Final = {NEXT: "9.0.0", LATER: "9.1.0"}
#: How many migrations the database of each has.
STEPS: Final = {THIS: len(migrations.KNOWN), NEXT: len(migrations.KNOWN), LATER: len(migrations.KNOWN) + 1}
PYTHON: Final = ROOT / ".venv-packages/bin/python"
#: What goes into packages.
_SHIPPED: Final = ("fabgate", "systemd", "config", "tools", "hardware", ":(glob)*")
_KEPT_S: Final = 7 * 24 * 3600
#: A table more, as an update that changes the database brings it. It changes none that there is.
_MIGRATION: Final = '''"""A table that a later version has."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collector", "{last}")]
    operations = [migrations.CreateModel("Shelf", [("id", models.BigAutoField(primary_key=True))])]
'''
_MIGRATION_NAME: Final = "9001_shelf"


def architecture() -> str:
    """Return Debian's name for this computer's architecture."""
    asked = ["dpkg", "--print-architecture"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def repositories(folder: Path, wanted: Sequence[tuple[str, str]]) -> Path:
    """Make a signed apt repository of each version, with a key of this run, and one signed with another key.

    `wanted` has pairs of a version and a suite.
    """
    with ThreadPoolExecutor(2) as pool:
        built = dict(zip(wanted, pool.map(lambda pair: _packages(*pair), wanted), strict=True))
    served = folder / "served"
    with _short_folder() as name:
        ours, foreign = Path(name, "ours"), Path(name, "foreign")
        for version in {version for version, _ in wanted}:
            # As in a repository for users, the version before stays.
            suites = [suite for built_version, suite in built if built_version == version]
            packages = {suite: [*{*built[THIS, suite], *built[version, suite]}] for suite in suites}
            _sign(served / version, packages, ours)
            if version == THIS:
                _sign(served / FOREIGN, packages, foreign)
    shutil.copy(served / THIS / apt.KEYS, served / FOREIGN / apt.KEYS)
    subprocess.run(["chmod", "-R", "a+rX", str(served)], check=True)
    return served


def _sign(folder: Path, packages: dict[str, list[Path]], home: Path) -> None:
    key = apt.trial_key(home)
    apt.repository(folder, packages, key=key, home=home, keys=apt.public_key(key, home))


def _packages(version: str, suite: str) -> list[Path]:
    """Return the .deb files of a version for a suite, and build them if they are missing."""
    folder = CACHE / "packages" / digest() / f"{version}-{suite}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not folder.is_dir():
            _build(version, suite, folder)
    return sorted(folder.glob("*.deb"))


def _build(version: str, suite: str, into: Path) -> None:
    for old in into.parent.parent.iterdir():
        if time.time() - old.stat().st_mtime > _KEPT_S:
            shutil.rmtree(old, ignore_errors=True)  # another thread may do the same
    with _short_folder() as name:
        dist = Path(name, "dist")
        tree = ROOT if version == THIS else _changed(version, Path(name, "tree"))
        command = [str(PYTHON), "-m", "tools.packages", "--suite", suite, "--arch", architecture(), "--dist", str(dist)]
        # Larger than those that users get, but made and unpacked sooner.
        fast = os.environ | {"DPKG_DEB_COMPRESSOR_LEVEL": "0"}
        done = subprocess.run(command, cwd=tree, env=fast, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        moved = into.with_suffix(".moved")
        shutil.rmtree(moved, ignore_errors=True)
        shutil.move(dist / "packages", moved)
        moved.rename(into)  # whole, or not there


def _short_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for GnuPG: the path of its agent's socket may have 107 characters. It is removed at the end of `with`."""
    return tempfile.TemporaryDirectory(prefix="fabgate-", ignore_cleanup_errors=True)  # the agent removes sockets, too


def _changed(version: str, tree: Path) -> Path:
    """Copy this tree, as it is on disk, and make a later version of it: a commit with a tag, as a release is."""
    for path in _files():
        target = tree / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    package = tree / "fabgate/__init__.py"
    lines = package.read_text("utf-8").splitlines(keepends=True)
    number = f'__version__ = "{NUMBERS[version]}"\n'
    assert sum(line.startswith("__version__") for line in lines) == 1
    package.write_text("".join(number if line.startswith("__version__") else line for line in lines), "utf-8")
    if version == LATER:
        folder = tree / "fabgate/collector/ground/migrations"
        last = migrations.KNOWN[-1]
        (folder / f"{_MIGRATION_NAME}.py").write_text(_MIGRATION.format(last=last), "utf-8")
        with (folder / "__init__.py").open("a", encoding="utf-8") as file:
            file.write(f'KNOWN = (*KNOWN, "{_MIGRATION_NAME}")\n')
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for words in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("commit", "--quiet", "-m", "Later"),
        ("tag", f"v{NUMBERS[version]}"),
    ):
        subprocess.run(["git", *who, *words], cwd=tree, check=True)
    return tree


def _files() -> list[Path]:
    listed = [
        "git",
        "-c",
        f"safe.directory={ROOT}",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        *_SHIPPED,
    ]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted({ROOT / name for name in names if name and (ROOT / name).is_file()})


def digest() -> str:
    """Return what names all that goes into packages: the version, which each commit changes, and the content."""
    asked = [str(PYTHON), "setup.py", "--quiet", "--version"]
    number = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout
    digest = hashlib.sha256((ROOT / "tests/install/builds.py").read_bytes() + number)
    for path in _files():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]

"""Does `make` install the libraries that the packages have, and again once their list has changed?"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.places import ROOT
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")

#: Stands for the interpreter, the Python of its environment, and fabgate there: it notes what pip is asked.
STUB = """#!/bin/sh
case "$1" in
-c) echo VERSION ;;
-m) echo "$@" | grep -q constraint && { echo installed; cat "$(dirname "$0")/../constraints.txt"; } >>"$LOG" ;;
esac
exit 0
"""
LIST = "django==6.1.3 \\\n    --hash=sha256:0123 \\\n    --hash=sha256:4567\nmsgspec=={} ; python_version > '3'\\\n    --hash=sha256:89ab\n"


class Tree:
    """A source tree with a Makefile, in which nothing is really installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        (folder / "tools/packages/locked").mkdir(parents=True)
        for name in ("Makefile", "setup.cfg"):
            shutil.copy(ROOT / name, folder)
        self.lock("0.23.0")

    def lock(self, msgspec: str) -> None:
        (self.folder / "tools/packages/locked/3.13.txt").write_text(LIST.format(msgspec))

    def installed(self, version: str, *variables: str) -> list[str]:
        """Run `make demo` and return the constraints that pip got, after the word "installed"; empty if it was not run."""
        for path in (
            "python",
            *(f".venv-{version}{end}/bin/{name}" for end in ("", "-newest") for name in ("python", "fabgate")),
        ):
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(STUB.replace("VERSION", version))
            target.chmod(0o755)
        self.log.write_text("")
        command = ["make", "-s", "demo", f"PYTHON={self.folder}/python", *variables]
        env = {"PATH": os.environ["PATH"], "LOG": str(self.log)}
        subprocess.run(command, cwd=self.folder, env=env, check=True, capture_output=True, timeout=HANGS_S)
        return self.log.read_text().splitlines()


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path)


def test_an_environment_has_the_versions_of_the_list_and_is_made_again_when_it_changes(tree):
    locked = ["installed", "django==6.1.3", "msgspec==0.23.0 ; python_version > '3'"]
    assert tree.installed("3.13") == locked
    assert tree.installed("3.13") == []
    tree.lock("0.24.0")
    assert tree.installed("3.13")[2].startswith("msgspec==0.24.0")
    assert tree.installed("3.13") == []
    tree.lock("0.23.0")  # as before, but the environment has the newer one
    assert tree.installed("3.13") == locked


def test_an_interpreter_without_a_list_takes_the_newest_libraries(tree):
    assert tree.installed("3.12") == ["installed"]


def test_the_newest_libraries_are_in_an_environment_of_their_own(tree):
    tree.installed("3.13")
    assert tree.installed("3.13", "NEWEST=1") == ["installed"]
    assert tree.installed("3.13") == []

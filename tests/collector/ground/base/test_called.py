"""Are the commands of the collector named as they are called on this computer?"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fabgate
from fabgate.collector.ground.base import called
from tests.deploy.places import SYSTEMD
from tests.support.patience import HANGS_S

COLLECTOR = Path(fabgate.__file__).parent / "collector"
INSTALLED = "fabgate-collector"


def strings(path: Path) -> Iterator[str]:
    """Yield the strings of a file, but for those that stand alone: docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def test_no_text_names_a_command_that_an_installed_collector_does_not_have():
    files = {path for suffix in ("html", "po", "js", "txt") for path in COLLECTOR.rglob(f"*.{suffix}")}
    texts = {path: [path.read_text("utf-8")] for path in files} | {
        path: list(strings(path)) for path in COLLECTOR.rglob("*.py")
    }
    assert len(texts) > 500
    found = {path.relative_to(COLLECTOR) for path, parts in texts.items() if any(called.DEFAULT in it for it in parts)}
    assert found == {Path("ground/base/called.py")}


def test_the_units_and_the_wrapper_give_the_name_of_an_installed_collector():
    for name in ("fabgate-collector@.service", "fabgate-collector-backup.service"):
        assert f"\nEnvironment=FABGATE_PROGRAM={INSTALLED}\n" in (SYSTEMD / name).read_text()
    assert f"\nFABGATE_PROGRAM={INSTALLED}\n" in (SYSTEMD / "collector-verb").read_text()


def run(tmp_path: Path, *arguments: str, **more: str) -> str:
    others = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
    env = others | {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(tmp_path), "COLUMNS": "200"} | more
    command = [sys.executable, "-m", "fabgate", "collector", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=HANGS_S)
    return done.stdout + done.stderr


def test_an_error_and_a_help_name_the_program_that_was_called(tmp_path):
    assert "make a new one with `fabgate collector run`" in run(tmp_path, "gates")
    assert "usage: fabgate collector gates" in run(tmp_path, "gates", "--help")
    installed = {"FABGATE_PROGRAM": INSTALLED}
    assert "make a new one with `fabgate-collector run`" in run(tmp_path, "gates", **installed)
    for arguments in (("--help",), ("gates", "--help")):
        shown = run(tmp_path, *arguments, **installed)
        assert "usage: fabgate-collector " in shown
        assert called.DEFAULT not in shown

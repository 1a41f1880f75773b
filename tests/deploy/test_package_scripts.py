"""What the script of the collector's package does after each end of `migrate`: it runs with fakes, in a folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fabgate.by_hand.part import COLLECTOR
from fabgate.errors import FabgateError, NewerTablesError, UsageError
from tests.deploy.places import ROOT

SCRIPT = ROOT / "tools/packages/debian/fabgate-collector.postinst"
#: What the script calls, and what it would change on this computer.
FAKES = ("systemctl", "deb-systemd-invoke", "install")


class Computer:
    """A computer with the package; `calls` is what the script called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told = root / "calls"
        for name in ("etc/fabgate", "var/lib/fabgate-collector", "usr/sbin", "usr/lib/fabgate-collector/bin", "bin"):
            (root / name).mkdir(parents=True)
        (root / "etc/fabgate/collector.env").touch()
        for name in FAKES:
            self.fake(f"bin/{name}")
        self.fake("usr/lib/fabgate-collector/bin/python", log=False)

    def fake(self, path: str, *, code: int = 0, log: bool = True) -> None:
        call = f'echo "{Path(path).name} $*" >> {self.told}\n' if log else ""
        (self.root / path).write_text(f"#!/bin/sh\n{call}exit {code}\n")
        (self.root / path).chmod(0o755)

    def configure(self, *, migrate: int, before: str = "0.1.0") -> subprocess.CompletedProcess[str]:
        """Run the script as dpkg does, with the version that was configured last."""
        self.fake("usr/sbin/fabgate-collector", code=migrate)
        text = SCRIPT.read_text("utf-8")
        for folder in ("/etc/", "/var/lib/", "/usr/", "/run/"):
            text = text.replace(f" {folder}", f" {self.root}{folder}").replace(f"={folder}", f"={self.root}{folder}")
        return subprocess.run(
            ["sh", "-c", text, "postinst", "configure", before],
            env={"PATH": f"{self.root / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[str]:
        return self.told.read_text().replace(str(self.root), "").splitlines()


@pytest.fixture
def computer(tmp_path) -> Computer:
    return Computer(tmp_path)


def stopped_by(script: str) -> list[str]:
    """Return the units that a script stops."""
    (units,) = re.findall(r'^units="([^"]+)"$', SCRIPT.with_suffix(f".{script}").read_text("utf-8"), re.MULTILINE)
    return units.split()


UNITS = stopped_by("prerm")
MADE = [
    "install -d -m 700 -o fabgate-collector -g fabgate-collector /var/lib/fabgate-collector-copies",
    f"deb-systemd-invoke stop {' '.join(UNITS)}",
    "fabgate-collector migrate",
]
STARTED = [
    "deb-systemd-invoke start fabgate-collector.target fabgate-collector-backup.timer fabgate-collector-certificates.timer",
    "deb-systemd-invoke restart fabgate-broker.service",
]


def test_an_update_makes_a_copy_before_it_changes_tables_and_starts_the_collector(computer):
    done = computer.configure(migrate=0)
    assert (done.returncode, done.stderr) == (0, "")
    assert computer.calls() == [*MADE, *STARTED]


def test_a_collector_that_was_installed_by_hand_goes_on_and_the_command_is_named(computer):
    by_hand = computer.root / "etc/systemd/system/fabgate-collector@.service"
    by_hand.parent.mkdir(parents=True)
    shutil.copy(ROOT / "systemd/fabgate-collector@.service", by_hand)
    done = computer.configure(migrate=0)
    assert done.returncode == 0
    assert not computer.told.exists()
    assert "goes on running" in done.stdout
    assert f"sudo {COLLECTOR.program} use-package" in done.stdout.replace(str(computer.root), "")


def test_an_earlier_version_on_newer_tables_is_installed_and_off_and_names_the_way_back(computer):
    done = computer.configure(migrate=NewerTablesError.exit_code, before="0.2.0")
    assert done.returncode == 0, "dpkg would try in vain at each later run of apt"
    assert computer.calls() == MADE
    assert "THE COLLECTOR IS OFF" in done.stderr
    assert "    fabgate-collector rollback\n" in done.stderr
    assert "    fabgate-collector rollback --yes\n" in done.stderr


@pytest.mark.parametrize("code", [FabgateError.exit_code, UsageError.exit_code])
def test_an_update_that_fails_is_not_configured_and_says_what_to_do(computer, code):
    done = computer.configure(migrate=code)
    assert done.returncode == 1, "the collector would be off, and nobody would know"
    assert computer.calls() == MADE
    assert "THE COLLECTOR IS OFF" in done.stderr
    assert "    dpkg --configure -a\n" in done.stderr
    back = "apt install --allow-downgrades 'fabgate-collector="
    assert f"    {back}0.1.0'\n" in done.stderr
    assert back not in computer.configure(migrate=code, before="").stderr


@pytest.mark.parametrize("missing", ["etc/fabgate/collector.env", "var/lib/fabgate-collector"])
def test_a_collector_that_is_not_set_up_is_left_alone(computer, missing):
    path = computer.root / missing
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    assert computer.configure(migrate=1).returncode == 0
    assert not computer.told.exists()

"""Does no interruption of a real dpkg let a program of two versions start, and is each one finished without a network?

dpkg works in a folder, as it does on a computer; strace ends it at its n-th rename, or a seeded chance at any moment.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.places import ROOT

SCRIPT = ROOT / "tools/packages/own/own-package"
NAME = "fabgate-gate"
FILES = 8
#: Renames of one update: those of its files, and of dpkg's own lists. A number above them lets it end.
RENAMES = range(1, 33)
pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None or shutil.which("dpkg-query") is None, reason="dpkg is not installed here"
)


@dataclass
class Computer:
    """A folder in which dpkg installs, with three versions of a small package."""

    folder: Path

    def __post_init__(self) -> None:
        (self.system / "var/lib/dpkg/info").mkdir(parents=True)
        (self.system / "var/lib/dpkg/updates").mkdir()
        for name in ("status", "available"):
            (self.system / "var/lib/dpkg" / name).touch()
        for version in ("1", "2", "3"):
            self._pack(version)
        self.script = self.folder / "own-package"
        self.script.write_text(SCRIPT.read_text("utf-8").replace("@package@", NAME))

    @property
    def system(self) -> Path:
        return self.folder / "system"

    @property
    def kept(self) -> Path:
        return self.system / "var/lib/fabgate-packages" / NAME

    def _pack(self, version: str) -> None:
        tree = self.folder / version
        program = tree / "usr/lib" / NAME
        program.mkdir(parents=True)
        for number in range(FILES):
            (program / f"{number}.py").write_text(version)
        (program / f"only-{version}.py").write_text(version)
        (tree / "usr/share/doc").mkdir(parents=True)
        (tree / "usr/share/doc/text").write_text(version)
        (tree / "DEBIAN").mkdir()
        files = sorted(path.relative_to(tree) for path in (tree / "usr").rglob("*") if path.is_file())
        sums = subprocess.run(["md5sum", *files], cwd=tree, capture_output=True, text=True, check=True).stdout
        (tree / "DEBIAN/md5sums").write_text(sums)
        (tree / "DEBIAN/control").write_text(
            f"Package: {NAME}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n"
        )
        build = ["dpkg-deb", "--build", "--root-owner-group", tree, self.deb(version)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)

    def deb(self, version: str) -> Path:
        return self.folder / f"{NAME}_{version}_all.deb"

    def call(self, *command: str | Path, answers: str = "") -> subprocess.CompletedProcess[str]:
        forced = {"DPKG_ROOT": str(self.system), "DPKG_FORCE": "not-root,script-chrootless,bad-path,downgrade"}
        env = os.environ | forced
        return subprocess.run(command, input=answers, env=env, capture_output=True, text=True, check=False)

    def own(self, verb: str, *, answers: str = "") -> subprocess.CompletedProcess[str]:
        return self.call("sh", self.script, verb, answers=answers)

    def keep(self, *versions: str) -> None:
        for version in versions:
            done = self.own("keep", answers=f"/var/cache/apt/archives/other_1_all.deb\n{self.deb(version)}\n")
            assert (done.returncode, done.stderr) == (0, "")

    def install(self, version: str, *before: str) -> subprocess.CompletedProcess[str]:
        self.keep(version)
        return self.call(*before, "dpkg", "--install", self.deb(version))

    def versions(self) -> set[str]:
        """Return the versions of which files of the program are there."""
        return {path.read_text() for path in (self.system / "usr/lib" / NAME).glob("[0-9].py")}

    def is_complete(self, version: str) -> bool:
        program = self.system / "usr/lib" / NAME
        wanted = {f"{number}.py" for number in range(FILES)} | {f"only-{version}.py"}
        return self.versions() == {version} and {path.name for path in program.iterdir()} == wanted

    def status(self) -> str:
        said = self.call("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", NAME)
        return said.stdout

    def names(self) -> set[str]:
        return {path.name for path in self.kept.iterdir()}


@pytest.fixture
def computer(tmp_path) -> Computer:
    computer = Computer(tmp_path)
    done = computer.install("1")
    assert done.returncode == 0, done.stderr
    assert computer.is_complete("1")
    return computer


def heals(computer: Computer) -> None:
    """Assert that a start is refused if files are of two versions, and that all is of one version afterwards."""
    begun = computer.status() != "installed 1"
    checked = computer.own("check")
    if len(computer.versions()) > 1:
        assert checked.returncode == 1, "files of two versions would run"
        assert "own-package finish" in checked.stderr
    done = computer.own("finish")
    assert done.returncode == 0, done.stderr
    assert computer.own("check").returncode == 0
    assert computer.is_complete("2" if begun else "1")
    assert computer.status() == ("installed 2" if begun else "installed 1")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed here: it ends dpkg at a rename")
@pytest.mark.parametrize("number", RENAMES)
def test_dpkg_killed_at_any_rename_starts_nothing_mixed_and_is_finished(computer, tmp_path, number):
    kill = f"inject=rename,renameat,renameat2:signal=KILL:when={number}"
    trace = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=rename,renameat,renameat2", "-e", kill]
    killed = computer.install("2", *trace)
    if "ptrace" in killed.stderr and "permitted" in killed.stderr:
        pytest.skip("processes cannot be traced here")
    heals(computer)


def test_all_renames_of_an_update_are_tried(computer, tmp_path):
    """A later dpkg may rename more files than there are cases above."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed here: it counts the renames")
    counted = tmp_path / "trace"
    done = computer.install("2", strace, "-f", "-qq", "-o", str(counted), "-e", "trace=rename,renameat,renameat2")
    if "permitted" in done.stderr:
        pytest.skip("processes cannot be traced here")
    assert FILES < len(counted.read_text().splitlines()) <= RENAMES[-1]


@pytest.mark.parametrize("number", range(20))
def test_dpkg_killed_by_chance_is_finished(computer, number):
    after_s = random.Random(number).uniform(0.0, 0.15)
    computer.install("2", "timeout", "--signal=KILL", f"{after_s:.3f}")
    heals(computer)


def half_unpacked(computer: Computer) -> None:
    """Bring the folder to where a power cut leaves it: half-installed, and files of two versions."""
    computer.keep("2")
    listed = computer.system / "var/lib/dpkg/status"
    listed.write_text(listed.read_text().replace("install ok installed", "install reinstreq half-installed"))
    (computer.system / "usr/lib" / NAME / "3.py").write_text("2")
    assert computer.own("check").returncode == 1


def test_a_file_that_a_person_changed_keeps_nothing_off(computer):
    (computer.system / "usr/lib" / NAME / "3.py").write_text("mine")
    assert computer.own("check").returncode == 0
    assert computer.own("finish").returncode == 0
    assert (computer.system / "usr/lib" / NAME / "3.py").read_text() == "mine"


def test_missing_documentation_keeps_nothing_off(computer):
    half_unpacked(computer)
    (computer.system / "usr/lib" / NAME / "3.py").write_text("1")
    (computer.system / "usr/share/doc/text").unlink()
    assert computer.own("check").returncode == 0


def test_without_the_list_of_checksums_nothing_half_installed_starts(computer):
    half_unpacked(computer)
    (computer.system / "var/lib/dpkg/info" / f"{NAME}.md5sums").unlink()
    assert computer.own("check").returncode == 1


def test_a_damaged_copy_is_passed_over_for_the_one_before(computer):
    half_unpacked(computer)
    coming = computer.kept / f"{NAME}_2.deb"
    coming.write_bytes(coming.read_bytes()[:200])
    assert computer.own("finish").returncode == 0
    assert computer.is_complete("1")


def test_without_a_copy_it_says_what_to_do(computer):
    half_unpacked(computer)
    shutil.rmtree(computer.kept)
    done = computer.own("finish")
    assert done.returncode == 1
    assert "dpkg --configure -a; apt install --fix-broken; apt install --reinstall fabgate-gate" in done.stderr
    assert computer.own("check").returncode == 1


def test_a_person_who_was_removing_it_does_not_get_it_back(computer):
    half_unpacked(computer)
    listed = computer.system / "var/lib/dpkg/status"
    listed.write_text(listed.read_text().replace("install reinstreq", "deinstall reinstreq"))
    assert computer.own("finish").returncode == 0
    assert computer.status() == "half-installed 1"


def test_the_version_in_force_and_the_one_before_are_kept(computer):
    assert computer.names() == {f"{NAME}_1.deb"}
    computer.install("2")
    assert computer.names() == {f"{NAME}_1.deb", f"{NAME}_2.deb"}
    computer.install("2")
    assert computer.names() == {f"{NAME}_1.deb", f"{NAME}_2.deb"}
    computer.install("3")
    assert computer.names() == {f"{NAME}_2.deb", f"{NAME}_3.deb"}
    computer.install("2")  # back
    assert computer.names() == {f"{NAME}_2.deb", f"{NAME}_3.deb"}
    computer.install("1")
    assert computer.names() == {f"{NAME}_1.deb", f"{NAME}_2.deb"}


def test_a_copy_that_cannot_be_made_is_said_and_stops_nothing(computer):
    done = computer.own("keep", answers=f"{computer.folder}/{NAME}_9_all.deb\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert computer.names() == {f"{NAME}_1.deb"}
    whole = shutil.copy(computer.deb("2"), computer.folder / f"{NAME}_9_all.deb")
    done = computer.call(
        "prlimit", "--fsize=600", "sh", computer.script, "keep", answers=f"{whole}\n"
    )  # as on a full disk
    assert done.returncode == 0
    assert "The installation goes on." in done.stderr
    assert computer.names() == {f"{NAME}_1.deb"}

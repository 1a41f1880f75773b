"""Do the documented lines for an update, and back, leave exactly the files of a commit, each with a version of its own?"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.places import DOCS, ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="there is no git here"
)

#: Of the folders that setup.cfg names in data_files; everything in fabgate/ is shipped.
SHIPPED = (
    *("fabgate/", "systemd/", "config/broker.conf", "config/collector.env", "config/fabgate.nft"),
    *("hardware/pins.yaml", "hardware/commissioning.md", "hardware/commissioning.fr.md"),
)
BUILT = (*SHIPPED, "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")
LEFT_OVER = "fabgate/collector/ground/migrations/0099_from_another_commit.py"


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *who, "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tracked(folder: Path) -> set[str]:
    return {name for name in git(folder, "ls-files").splitlines() if name.startswith(SHIPPED)}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two commits: the files of this one, and before it one file more, one less, and one changed."""
    folder = tmp_path_factory.mktemp("origin")
    git(folder, "init", "--quiet")
    for name in git(ROOT, "ls-files", *BUILT).splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    (folder / LEFT_OVER).write_text('"""It was taken away later."""\n')
    (folder / "fabgate/seal.py").rename(folder / "fabgate/seal.later")
    git(folder, "add", "--all", ":!fabgate/seal.later")
    git(folder, "commit", "--quiet", "--message", "Before")
    (folder / LEFT_OVER).unlink()
    (folder / "fabgate/seal.later").rename(folder / "fabgate/seal.py")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Now")
    return folder


@dataclass
class Computer:
    """A computer with an environment and a source folder, as install-by-hand.md has them in /opt."""

    environment: Path
    source: Path

    def run(self, lines: str, **more: str) -> str:
        """Run lines of install-by-hand.md here; nothing is downloaded."""
        for there, here in (("/opt/fabgate-src", self.source), ("/opt/fabgate/", f"{self.environment}/")):
            lines = lines.replace(there, str(here))
        # pip takes "no" to mean that it shall not isolate; setuptools and all that fabgate needs are those of the tests
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "no", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        command = ["sh", "-euc", lines]
        done = subprocess.run(command, env=os.environ | offline | more, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def installed(self) -> set[str]:
        """Return the files of fabgate's RECORD without its own metadata, scripts and bytecode, by their names in the source."""
        (record,) = self.environment.glob("lib/python*/site-packages/fabgate-*.dist-info/RECORD")
        with record.open(newline="") as file:
            names = {row[0] for row in csv.reader(file)}
        names = {re.sub(r"^(\.\./)+share/fabgate/", "", name) for name in names}
        return {name for name in names if not re.search(r"__pycache__/|^fabgate-[^/]*\.dist-info/|^(\.\./)+bin/", name)}

    def on_disk(self) -> set[str]:
        (package,) = self.environment.glob("lib/python*/site-packages/fabgate")
        files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        return {str(path.relative_to(package.parent)) for path in files}

    def version(self) -> str:
        return self.run("/opt/fabgate/bin/fabgate --version").strip().removeprefix("fabgate ")


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    environment = tmp_path / "fabgate"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    for path in packages.glob("setuptools*"):  # Python 3.11 brings an old one
        shutil.rmtree(path)
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Computer(environment, tmp_path / "src")


def update(commit: str) -> str:
    """Return the documented lines that install a commit."""
    (lines,) = re.findall(
        r"<!-- tests/deploy/test_update.py runs this block -->\n```sh\n(.*?)^```",
        (DOCS / "install-by-hand.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert "COMMIT" in lines
    return lines.replace("COMMIT", commit)


def test_update_and_back_leave_exactly_the_files_of_the_commit(computer, origin):
    git(origin.parent, "clone", "--quiet", str(origin), str(computer.source))
    versions = []
    for commit in ("origin/main~1", "origin/main", "origin/main~1"):
        computer.run(update(commit))
        assert computer.installed() == tracked(computer.source)
        assert computer.on_disk() == {name for name in tracked(computer.source) if name.startswith("fabgate/")}
        versions.append(computer.version())
    now = git(origin, "rev-parse", "HEAD")
    assert versions[1] == f"0.1.0.dev2+g{now[:8]}"
    assert versions[0] == versions[2] == f"0.1.0.dev1+g{git(origin, 'rev-parse', 'HEAD~1')[:8]}"


def test_what_an_earlier_build_left_in_a_source_folder_without_git_is_not_installed(computer, origin):
    for name in tracked(origin) | set(BUILT[len(SHIPPED) :]):
        (computer.source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(origin / name, computer.source / name)
    left_over = computer.source / "build/lib" / LEFT_OVER
    left_over.parent.mkdir(parents=True)
    left_over.write_text('"""It was built from another commit."""\n')
    output = computer.run("/opt/fabgate/bin/pip install --verbose '/opt/fabgate-src[collector]'")
    assert computer.installed() == tracked(origin)
    assert computer.version() == "0.1.0.dev0+nogit"
    assert "note: git gives no version" in output


# --- versions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with one commit, and as much of the sources as a version needs."""
    folder = tmp_path / "source"
    (folder / "fabgate").mkdir(parents=True)
    for name in ("setup.py", "setup.cfg", "README.md", "fabgate/__init__.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".gitignore").write_text("__pycache__/\n*.egg-info/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    return folder


def version(source: Path, **more: str) -> str:
    command = [sys.executable, "setup.py", "--quiet", "--version"]
    done = subprocess.run(command, cwd=source, env=os.environ | more, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def commit(source: Path) -> str:
    git(source, "commit", "--quiet", "--allow-empty", "--message", "Next")
    return git(source, "rev-parse", "HEAD")[:8]


def test_each_commit_has_a_version_of_its_own_that_rises(source):
    assert re.fullmatch(r"0\.1\.0\.dev1\+g[0-9a-f]{8}", version(source))
    assert version(source) != version(source, GIT_DIR="/nowhere")
    after = commit(source)
    assert version(source) == f"0.1.0.dev2+g{after}"
    git(source, "tag", "v0.1.0")
    assert version(source) == "0.1.0"
    after = commit(source)
    assert version(source) == f"0.1.1.dev1+g{after}"
    package = source / "fabgate/__init__.py"
    package.write_text(package.read_text().replace('"0.1.0"', '"0.2.0"'))
    assert version(source) == f"0.2.0.dev1+g{after}.changed"
    git(source, "add", "--all")
    after = commit(source)
    assert version(source) == f"0.2.0.dev2+g{after}"
    git(source, "tag", "nightly")
    assert version(source) == f"0.2.0.dev2+g{after}", "a tag of another kind is not a release"


@pytest.mark.parametrize("case", ["no git", "no repository", "inside another repository", "broken"])
def test_without_git_the_version_is_the_committed_one_and_says_so(source, tmp_path, case):
    more = {"PATH": str(tmp_path)} if case == "no git" else {}
    if case != "no git":
        shutil.rmtree(source / ".git")
    if case == "broken":
        (source / ".git").mkdir()
    if case == "inside another repository":
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "add", "--all")
        commit(tmp_path)
    assert version(source, **more) == "0.1.0.dev0+nogit"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_installs_a_folder_of_another_account_with_its_version(source):
    for path in (source, *source.rglob("*")):
        os.chown(path, 65534, 65534)
    assert "+g" in version(source)

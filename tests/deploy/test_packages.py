"""Do the lists of libraries and the texts of the Debian packages fit what we ship?"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from configparser import ConfigParser
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.deploy.places import ROOT, SYSTEMD
from tools.packages import compare, deb, paths, targets

PACKAGES = ROOT / "tools" / "packages"
EXTRAS = ("collector", "postgresql", "stripe")


def locked(python: str) -> dict[str, str]:
    """Return the locked version of each library, by its name."""
    text = (PACKAGES / "locked" / f"{python}.txt").read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("python", [suite.python for suite in targets.SUITES])
def test_each_library_of_the_collector_is_locked_in_a_version_that_setup_cfg_allows(python):
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in EXTRAS)]
    wanted = [Requirement(line) for text in lines for line in text.splitlines() if line and not line.startswith("#")]
    assert wanted
    for requirement in wanted:
        name = re.sub(r"[._]", "-", requirement.name.lower())
        assert requirement.specifier.contains(locked(python)[name]), name


@pytest.mark.parametrize("name", ["3.11", "3.13", "mfrc522"])
def test_each_locked_library_has_a_digest(name):
    text = (PACKAGES / "locked" / f"{name}.txt").read_text("utf-8")
    for entry in re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize("path", sorted((PACKAGES / "debian").glob("*.p*")), ids=lambda path: path.name)
def test_the_scripts_of_the_packages_are_shell(path):
    subprocess.run(["sh", "-n", str(path)], check=True)
    assert "#DEBHELPER#" in path.read_text("utf-8")


def test_each_unit_of_the_collector_is_in_its_package_and_is_stopped_before_files_are_replaced():
    units = {
        path.name for path in SYSTEMD.glob("fabgate-*.*") if path.suffix in {".service", ".target", ".timer", ".socket"}
    }
    # Importing trees.py would need what builds packages.
    laid_out = (ROOT / "tools/packages/trees.py").read_text("utf-8").partition("_COLLECTOR_UNITS: Final = (")[2]
    assert set(re.findall(r'"(.*?)"', laid_out.partition("\n)\n")[0])) == units - {"fabgate-gate.service"}
    stops = (PACKAGES / "debian" / "fabgate-collector.prerm").read_text("utf-8")
    # The instances of the template are named one by one.
    assert {name for name in units if "@" not in name and name not in stops} == {"fabgate-gate.service"}


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed here")
def test_a_package_of_a_later_commit_a_release_and_a_newer_debian_are_each_newer():
    bookworm, trixie = targets.SUITES
    versions = [
        deb.version_of("0.1.0.dev9+g1234abcd", trixie),
        deb.version_of("0.1.0.dev10+g0234abcd", bookworm),
        deb.version_of("0.1.0.dev10+g0234abcd", trixie),
        deb.version_of("0.1.0", bookworm),
        deb.version_of("0.1.0", trixie),
        deb.version_of("0.1.1.dev1+g0", bookworm),
    ]
    for older, newer in pairwise(versions):
        subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=True)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("fabgate-gate.service", "fabgate-gate"),
        ("line-off", "fabgate-gate"),
        ("fabgate-collector@.service", "fabgate-collector"),
        ("fabgate-collector-backup.service", "fabgate-collector"),
        ("collector-verb", "fabgate-collector"),
        ("fabgate-broker.service", "fabgate-collector"),
        ("broker-accounts", "fabgate-collector"),
    ],
)
def test_a_package_has_no_path_of_an_installation_by_hand(name, package):
    text = paths.adapted((SYSTEMD / name).read_text("utf-8"), package)
    assert not re.search(r"/opt/|/usr/local/|/usr/lib/fabgate/", text)


_AMD64, _ARM64 = (b"\x7fELF" + bytes(14) + machine for machine in (b"\x3e\x00", b"\xb7\x00"))
_OF_AMD64 = {"lib/a.cpython-313-x86_64-linux-gnu.so": _AMD64, "lib/b-01234567.so.1": _AMD64, "c.py": b""}
_OF_ARM64 = {"lib/a.cpython-313-aarch64-linux-gnu.so": _ARM64, "lib/b-89abcdef.so.1.6": _ARM64, "c.py": b""}


def package(folder: Path, architecture: str, files: dict[str, bytes]) -> Path:
    """Build a .deb file with these files."""
    root = folder / architecture
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: x\nVersion: 1\nArchitecture: {architecture}\nMaintainer: A <a@example.org>\nDescription: x\n"
    )
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root], check=True, stdout=subprocess.DEVNULL)
    return root.with_suffix(".deb")


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed here")
@pytest.mark.parametrize(
    ("of_arm64", "said"),
    [
        (_OF_ARM64, ""),
        (_OF_ARM64 | {"lib/b-89abcdef.so.1.6": _AMD64}, "arm64.deb: ./lib/b-89abcdef.so.1.6 is for another machine"),
        ({name: _OF_ARM64[name] for name in list(_OF_ARM64)[:2]}, "arm64.deb: ./c.py is missing"),
        (_OF_ARM64 | {"d.py": b""}, "amd64.deb: ./d.py is missing"),
    ],
)
def test_a_package_that_lacks_a_file_or_has_code_for_another_machine_is_refused(tmp_path, of_arm64, said):
    both = {"amd64": package(tmp_path, "amd64", _OF_AMD64), "arm64": package(tmp_path, "arm64", of_arm64)}
    with pytest.raises(RuntimeError, match=said) if said else contextlib.nullcontext():
        compare.check(both)

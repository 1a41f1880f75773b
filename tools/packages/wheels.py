"""Makes the wheel of fabgate, fetches those of its libraries, and unpacks wheels as a package has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from tools.packages.targets import MFRC522, ROOT, Architecture, Suite

#: The C libraries for which wheels are made (PEP 600), down from that of Debian 12, which has 2.36.
_GLIBC_MINORS: Final = range(36, 4, -1)
_OLD_NAMES: Final = ("manylinux2014", "manylinux2010", "manylinux1")
#: Where a wheel's scripts and data belong, below the folder of a package (`unpack`).
_SCHEME: Final = {"headers": "include", "scripts": "bin", "data": ""}


def of_fabgate(folder: Path) -> Path:
    """Build the wheel of this source tree in a new folder, and return it."""
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (found,) = folder.glob("fabgate-*.whl")
    return found


def of_libraries(folder: Path, suite: Suite, architecture: Architecture) -> list[Path]:
    """Fetch the wheels that `suite.locked` names into a new folder. pip refuses a file whose digest is not there."""
    platforms = [f"manylinux_2_{minor}_{architecture.wheels}" for minor in _GLIBC_MINORS]
    platforms += [f"{name}_{architecture.wheels}" for name in _OLD_NAMES]
    _pip(
        *("download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)),
        *(f"--platform={name}" for name in platforms),
        *("--implementation", "cp", "--python-version", suite.python, "--requirement", str(suite.locked)),
    )
    return sorted(folder.glob("*.whl"))


def of_mfrc522(folder: Path) -> tuple[Path, Path]:
    """Fetch the wheel and the source of mfrc522 into a new folder, and return both."""
    fetch = ("download", "--no-deps", "--require-hashes", "--dest", str(folder), "--requirement", str(MFRC522))
    _pip(*fetch, "--only-binary", ":all:")
    _pip(*fetch, "--no-binary", ":all:", "--no-build-isolation")
    (wheel,), (source,) = folder.glob("mfrc522-*.whl"), folder.glob("mfrc522-*.tar.gz")
    return wheel, source


def unpack(wheels: Iterable[Path], root: Path, *, prefix: str, modules: str) -> None:
    """Unpack wheels below `root`, as they are installed in `prefix`, their modules in its folder `modules`.

    Scripts start with `prefix`/bin/python. Nothing is compiled: the version of Python there may be another one.
    """
    scheme = {name: f"{prefix}/{folder}".rstrip("/") for name, folder in _SCHEME.items()}
    scheme |= {name: f"{prefix}/{modules}".rstrip("/") for name in ("purelib", "platlib")}
    for path in wheels:
        with WheelFile.open(path) as source:
            destination = SchemeDictionaryDestination(
                scheme, interpreter=f"{prefix}/bin/python", script_kind="posix", destdir=str(root)
            )
            install(source, destination, {"INSTALLER": b"dpkg\n"})


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True)  # noqa: S603 - pip, with our own arguments

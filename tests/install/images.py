"""Bare Debian systems, made once by mmdebstrap, and cheap copies of them.

An image is a stack of folders that nothing changes any more. A copy of it is one more folder on top, joined by overlayfs: it
costs nothing. Where overlayfs does not work, a copy is a real one.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: Where bare systems and built packages are kept between runs, outside the checkout.
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "fabgate-roots").expanduser()
#: A bare system is made again after this time, so that the packages are tried with what Debian has now.
_KEPT_S: Final = 7 * 24 * 3600
CONTROL: Final = ROOT / "tools/packages/debian/control"
#: What every computer has that a workshop sets up: systemd with its bus, and certificates for apt.
_INCLUDED: Final = ("ca-certificates", "dbus", "systemd", "systemd-sysv", "python3", "nano", "debsums")
#: What Raspberry Pi OS has besides, and a person uses to add a gate.
_ON_A_PI: Final = ("curl", "sudo")
#: Not the last word in a control file, but all that ours uses.
_NAME: Final = re.compile(r"[a-z][a-z0-9.+-]+")


@dataclass(frozen=True, slots=True)
class Image:
    """A system that is not running: its folders, the uppermost first."""

    layers: tuple[Path, ...]


def bare(suite: str) -> Image:
    """Return a bare Debian system. What our packages depend on is downloaded there, but not installed.

    Raises subprocess.CalledProcessError if it cannot be made.
    """
    folder = CACHE / f"bare-{suite}"
    with locked(folder):
        made = folder / "made"  # written last
        wanted = f"{_dependencies()} {' '.join(_ON_A_PI)}"
        if made.exists() and made.read_text("utf-8") == wanted and time.time() - made.stat().st_mtime < _KEPT_S:
            return Image((folder / "system",))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        system = folder / "system"
        include = ",".join((*_INCLUDED, *_ON_A_PI))
        _run("mmdebstrap", "--quiet", "--variant=important", "--mode=root", f"--include={include}", suite, str(system))
        _settle(system)
        fetch = f"""
            apt-get update -q
            found=$(for name in {wanted}; do if apt-cache show $name >/dev/null 2>&1; then echo $name; fi; done)
            apt-get install -y -q --download-only $found"""
        # What Debian 12 lacks for a gate is no mistake here: the gate is not for it.
        _run("chroot", str(system), "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-euc", fetch)
        made.write_text(wanted, "utf-8")
        return Image((folder / "system",))


def join(image: Image, upper: Path, work: Path, at: Path) -> Image:
    """Mount a copy of an image at a new folder, or copy it there, and return what the copy is as an image later."""
    for folder in (upper, work, at):
        folder.mkdir(parents=True)
    layers = ":".join(map(str, image.layers))
    # volatile: nothing waits for the disk. What these tests kill are processes, and the memory of this computer stays.
    # redirect_dir: a folder of a lower layer can be renamed, as on any disk.
    options = f"volatile,redirect_dir=on,lowerdir={layers},upperdir={upper},workdir={work}"
    mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(at)]
    if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        return Image((upper, *image.layers))
    (only,) = image.layers
    at.rmdir()
    _run("cp", "-a", "--reflink=auto", str(only), str(at))
    return Image((at,))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time make a folder of the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _dependencies() -> str:
    """Return the names of all packages that ours depend on, or recommend."""
    text = CONTROL.read_text("utf-8")
    fields = re.findall(r"^(?:Depends|Recommends):(.*)$", text, re.MULTILINE)
    # Of alternatives the first one, which apt takes.
    names = {re.split(r"[|(]", entry)[0].strip() for field in fields for entry in field.split(",")}
    return " ".join(sorted(name for name in names if _NAME.fullmatch(name) and not name.startswith("fabgate")))


def _settle(system: Path) -> None:
    """Let a new system download as this computer does, and look like a Raspberry Pi to the package of the gate."""
    for name in ("ssl/certs/ca-certificates.crt", "resolv.conf", "hosts"):
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), system / "etc" / name)
    dumped = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in dumped.splitlines() if re.match(r"Acquire::(https?|Check-|Retries)", line)]
    (system / "etc/apt/apt.conf.d/50acquire").write_text("\n".join(lines) + "\n")
    # Raspberry Pi OS has this file; its last line belongs to one model only.
    (system / "boot/firmware").mkdir(parents=True)
    (system / "boot/firmware/config.txt").write_text("[pi3]\ndtparam=audio=on\n")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} failed:\n{(done.stdout + done.stderr)[-3000:]}")

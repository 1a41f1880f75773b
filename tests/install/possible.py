"""Can Debian systems be started on this computer?"""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request
from functools import cache
from typing import Final

from tests.install import builds

#: Each program, with the package of Debian that has it.
_NEEDED: Final = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "apt-ftparchive": "apt-utils",
    "gpg": "gnupg",
}
_MIRROR: Final = "http://deb.debian.org/debian/dists/trixie/InRelease"


@cache
def reason() -> str:
    """Return why no root can be tried on this computer, "" if one can."""
    if os.geteuid() != 0:
        return "only root can start a system under systemd-nspawn"
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if missing:
        return f"missing: apt install {' '.join(missing)}"
    if not builds.PYTHON.exists():
        return f"missing: {builds.PYTHON}, which make sets up"
    allowed = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    if allowed.returncode:
        return f"this computer lets no container start: {allowed.stderr.strip()}"
    try:
        urllib.request.urlopen(_MIRROR, timeout=20).close()
    except OSError as error:
        return f"{_MIRROR} cannot be read: {error}"
    return ""

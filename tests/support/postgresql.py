"""A temporary PostgreSQL while one command runs: ``python -m tests.support.postgresql COMMAND …``.

The command finds it under FABGATE_TEST_DATABASE_URL. The server listens only on a socket in a folder of its own, and does
not sync: everything is deleted at the end. PostgreSQL refuses to run as root, who starts it as another account.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: Debian keeps each version's programs in a folder of its own, outside the PATH.
_DEBIAN = Path("/usr/lib/postgresql")
_NOT_DURABLE = ("fsync=off", "full_page_writes=off", "autovacuum=off", "listen_addresses=", "max_connections=60")
NOTHING_TO_DO = 5


def programs() -> Path | None:
    """Return where the newest PostgreSQL server is installed, or None."""
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def cluster(bin_folder: Path, settings: Sequence[str] = _NOT_DURABLE) -> Iterator[str]:
    """Give the URL of a running server, without the name of a database."""
    with tempfile.TemporaryDirectory(prefix="fabgate-pg-") as name:
        folder = Path(name)
        account = _account()
        if account:
            shutil.chown(folder, account)
        folder.chmod(0o711)
        data = folder / "data"
        _run(account, bin_folder / "initdb", "--username=fabgate", "--auth=trust", "--encoding=UTF8",
             "--locale=C.UTF-8", "--no-sync", f"--pgdata={data}")  # fmt: skip
        options = " ".join(f"-c {setting}" for setting in (*settings, f"unix_socket_directories={folder}"))
        control = (bin_folder / "pg_ctl", f"--pgdata={data}", f"--log={folder / 'log'}", "--wait")
        _run(account, *control, f"--options={options}", "start")
        try:
            yield f"postgresql://fabgate@{quote(str(folder), safe='')}"
        finally:
            _run(account, *control, "--mode=immediate", "stop")


def _account() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {found.pw_name for found in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _run(account: str | None, *command: Any) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        user=account,
        group=None if account is None else pwd.getpwnam(account).pw_gid,
        extra_groups=None if account is None else [],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: {command[0]} failed: {done.stderr or done.stdout}")


def main(command: list[str]) -> int:
    """Run `command` with a server; a run of pytest that collects no test counts as passed."""
    bin_folder = programs()
    if bin_folder is None:
        sys.exit("error: no PostgreSQL server on this computer. Install it (on Debian: sudo apt install postgresql)")
    with cluster(bin_folder) as url:
        done = subprocess.run(command, env={**os.environ, "FABGATE_TEST_DATABASE_URL": url}, check=False)
    return 0 if done.returncode == NOTHING_TO_DO else done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

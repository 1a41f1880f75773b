"""What a program of root does to its computer: it reads and writes files below a root folder, and runs programs.

A test replaces the root folder and the programs.
"""

from __future__ import annotations

import grp
import os
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fabgate.doctor.system import System
from fabgate.errors import FabgateError

#: How long a program may take: an update of large tables is the longest.
_PATIENCE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Return what a person should read of it."""
        return (self.err.strip() or self.out.strip()).removeprefix("error: ")


class Computer:
    """One computer. Each method that changes something can be interrupted anywhere, and called again."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.system = System(root)

    def path(self, name: str) -> Path:
        """Return where an absolute name lies."""
        return self.system.path(name)

    def is_there(self, name: str) -> bool:
        """Say whether there is a file, a folder, or a link, even one that leads nowhere."""
        return os.path.lexists(self.path(name))

    def text(self, name: str) -> str:
        """Return the text of a file without blanks around it, "" if there is none. Raises OSError."""
        return self.system.read(name) or ""

    def is_root(self) -> bool:
        """Say whether this process may change the system."""
        return os.geteuid() == 0

    def group(self, name: str) -> int:
        """Return the number of a group. Raises FabgateError."""
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError as error:
            raise FabgateError(
                f"found no group {name}, which the package makes: apt install --reinstall {name}"
            ) from error

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait, in seconds."""
        time.sleep(seconds)

    # --- programs -----------------------------------------------------------------------------------------------------

    def run(self, *command: str, account: str = "", shows: bool = False) -> Answer:
        """Run a program, as `account` if one is named. With `shows` the person reads its output."""
        whole = ["runuser", "-u", account, "--", *command] if account else list(command)
        try:
            done = subprocess.run(  # noqa: S603 - our own programs
                whole, capture_output=not shows, text=True, errors="replace", timeout=_PATIENCE_S, check=False, cwd="/"
            )
        except (OSError, subprocess.SubprocessError) as error:
            return Answer(127, "", str(error))
        return Answer(done.returncode, done.stdout or "", done.stderr or "")

    def need(self, *command: str) -> Answer:
        """Run a program that must succeed. Raises FabgateError with what it said."""
        answer = self.run(*command)
        if answer.code:
            raise FabgateError(f"{' '.join(command)}: exit code {answer.code}: {answer.said}")
        return answer

    # --- changes: whole or not at all, also if the power fails --------------------------------------------------------

    def write(self, name: str, text: str, mode: int = 0o644, group: str = "") -> None:
        """Write a file, and its folder if it is missing. Raises FabgateError for an unknown group, and OSError."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.fabgate-new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            if group:
                os.fchown(file.fileno(), -1, self.group(group))
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
        _sync(target.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

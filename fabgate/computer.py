"""What a program of root does to its computer: it reads and writes files below a root folder, and runs programs.

A test replaces the root folder and the programs.
"""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fabgate import installed
from fabgate.doctor.system import System
from fabgate.errors import FabgateError


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
        """Return the text of a file, "" if there is none. Raises OSError."""
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
                f"found no group {name}, which the package of that name makes: {installed.again()}"
            ) from error

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """Wait, in seconds."""
        time.sleep(seconds)

    # --- programs -----------------------------------------------------------------------------------------------------

    def run(self, *command: str, account: str = "", shows: bool = False) -> Answer:
        """Run a program, as `account` if one is named. With `shows` the person reads its output.

        There is no time limit, because a large database takes as long as it takes.
        """
        whole = ["runuser", "-u", account, "--", *command] if account else list(command)
        try:
            done = subprocess.run(  # noqa: S603 - our own programs
                whole, capture_output=not shows, text=True, errors="replace", check=False, cwd="/"
            )
        except (OSError, subprocess.SubprocessError) as error:
            return Answer(127, "", str(error))
        return Answer(done.returncode, done.stdout or "", done.stderr or "")

    def state(self, unit: str) -> str:
        """Return what systemd says of a unit: active, inactive, activating, failed, ... or "" where it knows no such unit."""
        return self.run("systemctl", "is-active", unit).out.strip()

    def need(self, *command: str) -> Answer:
        """Run a program that must succeed. Raises FabgateError with what it said."""
        answer = self.run(*command)
        if answer.code:
            raise FabgateError(f"{' '.join(command)}: exit code {answer.code}: {answer.said}")
        return answer

    def is_active(self, unit: str) -> bool:
        """Say whether systemd runs a unit, or goes on trying to."""
        return self.state(unit) in ("active", "activating", "reloading", "failed")

    def environment(self) -> Mapping[str, str]:
        """Return the variables of this process."""
        return os.environ

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
        self._put(fresh, target)

    def copy(self, name: str, to: str) -> None:
        """Copy a file or a link, with owner, mode and times, over what is at `to`. Raises OSError."""
        source, target = self.path(name), self.path(to)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.fabgate-new")
        fresh.unlink(missing_ok=True)
        shutil.copy2(source, fresh, follow_symlinks=False)
        state = source.lstat()
        if self.is_root():
            os.chown(fresh, state.st_uid, state.st_gid, follow_symlinks=False)
        self._put(fresh, target)

    def remove(self, name: str) -> None:
        """Remove a file or a link, if it is there. Raises OSError."""
        target = self.path(name)
        target.unlink(missing_ok=True)
        if target.parent.is_dir():
            self.sync(target.parent)

    def remove_empty(self, name: str) -> None:
        """Remove a folder if nothing is in it."""
        folder = self.path(name)
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()

    def _put(self, fresh: Path, target: Path) -> None:
        if not fresh.is_symlink():
            self.sync(fresh)
        fresh.replace(target)
        self.sync(target.parent)

    def sync(self, path: Path) -> None:
        """Wait until a file or a folder is on the disk. Raises OSError."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

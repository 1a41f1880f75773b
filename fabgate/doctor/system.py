"""Reads what the computer says of itself: files below a root folder, which a test or an image of a card replaces."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: How long a program that is asked may take.
_PATIENCE_S: Final = 5.0
#: What is written to measure a disk: as many bytes as a page of the journal, and how often.
_BLOCK: Final = bytes(4096)
_WRITES: Final = 12
_LISTENS: Final = "0A"  # the kernel's include/net/tcp_states.h: TCP_LISTEN


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/mounts."""

    source: str
    place: str
    kind: str
    options: tuple[str, ...]


class System:
    """The files of one computer. `root` is "/" for this one."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        #: Whether programs of this computer may be asked, too.
        self.is_live = root == Path("/")

    def path(self, name: str) -> Path:
        """Return where an absolute name lies below the root."""
        return self.root / name.lstrip("/")

    def read(self, *names: str) -> str | None:
        """Return the first of these files that exists, as text without blanks around it. Raises OSError."""
        for name in names:
            try:
                return self.path(name).read_text("utf-8", errors="replace").strip("\0 \n\t")
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def found(self, pattern: str) -> list[Path]:
        """Return the files that an absolute pattern matches, in order."""
        return sorted(self.root.glob(pattern.lstrip("/")))

    def sync_times_ms(self, folder: Path) -> list[float]:
        """Measure how long a small write takes until it is on the disk of a folder, in milliseconds. Raises OSError.

        It writes and removes a file of its own; twelve writes are what a gate writes in six minutes of a session.
        """
        taken: list[float] = []
        handle, name = tempfile.mkstemp(prefix=".doctor-", dir=folder)
        try:
            for _ in range(_WRITES):
                start = time.perf_counter()
                os.write(handle, _BLOCK)
                os.fdatasync(handle)
                taken.append((time.perf_counter() - start) * 1000)
        finally:
            os.close(handle)
            Path(name).unlink(missing_ok=True)
        return taken

    def ask(self, *command: str) -> str | None:
        """Return the output of a program of this computer; None where it is missing or fails, or with another root."""
        if not self.is_live or shutil.which(command[0]) is None:
            return None
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)  # noqa: S603 - fixed commands
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    # --- facts of any computer ----------------------------------------------------------------------------------------

    def mounts(self) -> list[Mount]:
        """Return what is mounted; empty where that is unknown."""
        rows = [line.split() for line in (self.read("/proc/self/mounts", "/proc/mounts") or "").splitlines()]
        return [Mount(row[0], _plain(row[1]), row[2], tuple(row[3].split(","))) for row in rows if len(row) >= 4]

    def mount_of(self, path: Path) -> Mount | None:
        """Return the mount on which a path lies; None where that is unknown."""
        whole = os.path.realpath(path)
        under = [one for one in self.mounts() if one.place == "/" or f"{whole}/".startswith(f"{one.place}/")]
        # Of several mounts at one place, the last one covers the others.
        return max(reversed(under), key=lambda one: len(one.place), default=None)

    def mounts_of(self, path: Path) -> tuple[Mount | None, Mount | None]:
        """Return the mount of a path; and that of its changes, where it is an overlay."""
        mount = self.mount_of(path)
        upper = next((one[9:] for one in (mount.options if mount else ()) if one.startswith("upperdir=")), None)
        return mount, None if upper is None else self.mount_of(Path(upper))

    def listening(self) -> list[tuple[str, int]] | None:
        """Return address and port of each TCP socket that waits for connections; None where that is unknown."""
        tables = [self.read(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
        if tables[0] is None:
            return None
        found = {
            _address(words[1])
            for table in tables
            for words in map(str.split, (table or "").splitlines()[1:])
            if len(words) > 3 and words[3] == _LISTENS
        }
        return sorted(found, key=lambda one: (one[1], one[0]))

    def login_shell(self, user: str) -> str | None:
        """Return the shell of an account that may sign in; None where there is no such account."""
        for line in (self.read("/etc/passwd") or "").splitlines():
            name, *others = line.split(":")  # a line of NIS may be a "+" alone
            shell = others[-1] if others else ""
            if name == user and not shell.endswith(("/nologin", "/false")):
                return shell
        return None

    def account(self, user: str) -> tuple[int, frozenset[int]] | None:
        """Return the number of an account and those of its groups; None where there is no such account."""
        rows = [line.split(":") for line in (self.read("/etc/passwd") or "").splitlines()]
        found = next((row for row in rows if row[0] == user and len(row) > 3), None)
        if found is None:
            return None
        groups = [line.split(":") for line in (self.read("/etc/group") or "").splitlines()]
        further = [int(row[2]) for row in groups if len(row) > 3 and user in row[3].split(",")]
        return int(found[2]), frozenset({int(found[3]), *further})

    def has_password(self, user: str, password: str) -> bool | None:
        """Return whether this is the account's password; None where this account or this computer cannot tell.

        The password "" is that of an account which needs none.
        """
        try:
            shadow = self.read("/etc/shadow")
        except PermissionError:
            return None
        for line in (shadow or "").splitlines():
            name, _, rest = line.partition(":")
            if name == user:
                stored = rest.partition(":")[0]
                if not stored or not password:
                    return stored == password
                return False if stored[0] in "!*" else _matches(password, stored)
        return None


def others_may(path: Path) -> int | None:
    """Return what every account of the computer may do with a file (the bits 4 read, 2 write, 1 execute).

    It is 0 in a folder that others cannot enter, and None where this account has no right to see it. Raises FileNotFoundError.
    """
    try:
        may = path.stat().st_mode & 0o007
        folders = path.resolve().parents
        return may if all(folder.stat().st_mode & 0o001 for folder in folders) else 0
    except PermissionError:
        return None


def may(path: Path, wanted: int, user: int, groups: frozenset[int]) -> bool:
    """Return whether an account that is not root may do `wanted` with a file (the bits 4 read, 2 write, 1 execute or enter).

    It must be able to enter each folder above it. Where an access list (acl(5)) says more than the mode, it counts as
    permitted. Raises OSError.
    """
    whole = path.resolve()
    return _allows(whole, wanted, user, groups) and all(_allows(one, 1, user, groups) for one in whole.parents)


def _allows(path: Path, wanted: int, user: int, groups: frozenset[int]) -> bool:
    if "system.posix_acl_access" in _attributes(path):
        return True
    found = path.stat()
    shift = 6 if found.st_uid == user else 3 if found.st_gid in groups else 0
    return found.st_mode >> shift & wanted == wanted


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:
        return []  # a file system without such attributes


def existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists: a folder may not be made yet."""
    return next(one for one in _upwards(path) if one.exists())


def _upwards(path: Path) -> Iterator[Path]:
    whole = path.absolute()
    yield whole
    yield from whole.parents


def _plain(text: str) -> str:
    return text.replace("\\040", " ")  # getmntent(3)


def _address(text: str) -> tuple[str, int]:
    """Return address and port of a row of /proc/net/tcp: words of four bytes in the processor's order."""
    hexadecimal, port = text.split(":")
    words = [bytes.fromhex(hexadecimal[at : at + 8])[::-1] for at in range(0, len(hexadecimal), 8)]
    raw = b"".join(words)
    if len(raw) == 16 and raw.startswith(bytes(10) + b"\xff\xff"):
        raw = raw[12:]
    if len(raw) == 4:
        return ".".join(map(str, raw)), int(port, 16)
    return ("::1" if raw == bytes(15) + b"\x01" else "::" if raw == bytes(16) else raw.hex(":", 2)), int(port, 16)


def _matches(password: str, stored: str) -> bool | None:
    """Compare a password by crypt(3); Python's own module ended with 3.12."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError:
        return None
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(password.encode(), stored.encode())
    return None if made is None or made.startswith(b"*") else made == stored.encode()

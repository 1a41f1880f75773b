"""Files of the repository of packages, as apt asks for them. There are no listings, and nothing outside the folder."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Final

#: How much is read and sent at once, in bytes.
PIECE_BYTES: Final = 64 * 1024
_TYPES: Final = {
    ".deb": "application/vnd.debian.binary-package",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".asc": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",  # InRelease, Release and Packages
}


@dataclass(frozen=True, slots=True)
class File:
    """A file that is open, and what its headers say."""

    open_file: BinaryIO
    size: int
    changed_s: int
    kind: str

    @property
    def headers(self) -> dict[str, str]:
        """The type of the file, and when it was changed."""
        return {"content-type": self.kind, "last-modified": formatdate(self.changed_s, usegmt=True)}

    def is_unchanged(self, since: str) -> bool:
        """Return whether it is not newer than the date of If-Modified-Since."""
        try:
            return self.changed_s <= parsedate_to_datetime(since).timestamp()
        except (TypeError, ValueError, OverflowError):
            return False


def opened(folder: Path, name: str) -> File | None:
    """Open a file by its path below the folder; None if it is not there, or not in the folder. Links stay inside."""
    parts = name.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        return None
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, *parts))  # noqa: PTH118 (a Path would lose what realpath finds out)
    if not path.startswith(f"{root}/"):
        return None
    try:
        # Without O_NONBLOCK a pipe in the folder would keep a thread for ever.
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    about = os.fstat(found)
    if not stat.S_ISREG(about.st_mode):
        os.close(found)
        return None
    kind = _TYPES.get(Path(path).suffix, "application/octet-stream")
    return File(os.fdopen(found, "rb"), about.st_size, int(about.st_mtime), kind)

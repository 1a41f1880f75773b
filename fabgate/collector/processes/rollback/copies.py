"""Copies of the collector from before an update: their names, and which ones are kept.

A name has the site, the moment in UTC, and both versions:
``fabgate-lyon-before-update-20261202-211500-123-from-0.1.0-to-0.2.0.tar.gz``. It is a copy as `backup` makes them, or for
PostgreSQL a dump (``.dump``), which has no list in which the versions could be.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from fabgate.collector.ground.base import data_folder
from fabgate.errors import UsageError

#: The endings of a copy of SQLite, and of one of PostgreSQL.
TAR: Final = data_folder.COPY_SUFFIX
DUMP: Final = ".dump"
#: How the names of files begin that are not complete yet. Only the holder of the lock on starts makes them.
TEMPORARY: Final = ".before-update-"
#: How many copies stay.
KEEP: Final = 2


@dataclass(frozen=True, slots=True)
class UpdateCopy:
    """A copy from before an update: its file, when it was made, and the versions before and after; "" if not known."""

    path: Path
    at: datetime
    before: str
    after: str


def name(site: str, at: datetime, *, before: str, after: str, ending: str) -> str:
    """Return the name of a copy that is made at a moment in UTC."""
    known = f"from-{before}-" if before else ""
    return f"{_prefix(site)}{moment(at)}-{known}to-{after}{ending}"


def moment(at: datetime) -> str:
    """Return a moment in UTC as names have it, with milliseconds: what is newer than the copy is counted by it."""
    return f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}"


def moment_after(site: str, folder: Path, now: datetime) -> datetime:
    """Return `now`, or a moment after the newest copy, if the clock went back: the newest copy is found by its name.

    Otherwise the copy that was just made would count as the oldest, and be deleted. Raises OSError.
    """
    found = in_folder(site, folder)
    return max(now, found[-1].at + timedelta(milliseconds=1)) if found else now


def in_folder(site: str, folder: Path) -> list[UpdateCopy]:
    """Return the copies of a site in a folder, the oldest first. Raises OSError."""
    named = re.compile(
        re.escape(_prefix(site))
        + r"(\d{8}-\d{6}-\d{3})-(?:from-([^-/]+)-)?to-([^-/]+)"
        + f"(?:{re.escape(TAR)}|{re.escape(DUMP)})"
    )
    found = []
    for path in sorted(folder.iterdir()):
        if match := named.fullmatch(path.name):
            with suppress(ValueError):  # somebody else's file, named after a day that does not exist
                at = datetime.strptime(f"{match[1]}000", "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
                found.append(UpdateCopy(path, at, match[2] or "", match[3]))
    return found


def newest(site: str, folder: Path, ending: str) -> UpdateCopy:
    """Return the newest copy of a site with this ending. Raises UsageError if there is none."""
    try:
        found = [copy for copy in in_folder(site, folder) if copy.path.name.endswith(ending)]
    except FileNotFoundError as error:  # the first update that changes the tables makes it
        raise UsageError(
            f"--copies: found no folder {folder}. If no update has changed the tables yet, there is nothing to go back to;"
            " otherwise name the folder of the copies"
        ) from error
    except OSError as error:
        raise UsageError(
            f"--copies: {folder} cannot be read ({error.strerror}); name the folder of the copies"
        ) from error
    if not found:
        raise UsageError(
            f"--copies: found no copy from before an update of {site} in {folder}, wanted one that `migrate --copy` made"
            " (…-before-update-…); another copy is restored by `restore`, or by pg_restore (docs/install-by-hand.md)"
        )
    return found[-1]


def delete_old(site: str, folder: Path) -> None:
    """Delete all but the newest copies of a site; one that cannot be deleted stays."""
    with suppress(OSError):
        for old in in_folder(site, folder)[:-KEEP]:
            with suppress(OSError):
                old.path.unlink()


def delete_unfinished(folder: Path) -> None:
    """Delete what processes left that were killed while they made a copy."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def _prefix(site: str) -> str:
    return f"fabgate-{site}-before-update-"

"""Copies the collector before an update changes its tables, so that the version before can be used again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import fabgate
from fabgate.collector.ground.base import data_folder, environ
from fabgate.collector.processes import backup
from fabgate.collector.processes.rollback import copies, dumps
from fabgate.errors import FabgateError, UsageError


@dataclass(frozen=True, slots=True)
class Made:
    """The copy from before this update. It is not new if the update was interrupted, and now goes on."""

    path: Path
    is_new: bool


def make(env: environ.Environment, folder: Path) -> Made:
    """Copy the collector to a new file in `folder`, which is made if it is missing, and delete all but the newest ones.

    No process uses the collector meanwhile: the caller holds the lock on starts. Raises UsageError if the copy cannot be
    written, and FabgateError if the database is damaged or the keys of a gate cannot be read.
    """
    folder = folder.absolute()
    # What a further copy would hold is a database half way, and in the end the only whole one would be deleted.
    before = data_folder.updating(env.data)
    if before and (folder / before).is_file():
        return Made(folder / before, is_new=False)
    try:
        target = _write(env, folder)
        data_folder.note_updating(env.data, target.name)
    except FabgateError as error:
        raise type(error)(f"the tables were not changed, because no copy could be made before: {error}") from error
    copies.delete_old(env.site, folder)
    return Made(target, is_new=True)


def _write(env: environ.Environment, folder: Path) -> Path:
    _ready(env, folder)
    copies.delete_unfinished(folder)
    ending = copies.DUMP if env.database_url else copies.TAR
    at = copies.moment_after(env.site, folder, datetime.now(UTC))
    versions = {"before": data_folder.used_by(env.data), "after": fabgate.__version__}
    target = folder / copies.name(env.site, at, **versions, ending=ending)
    if env.database_url:
        dumps.dump(target)
    else:
        backup.write(env, target, temporary=copies.TEMPORARY)
    return target


def _ready(env: environ.Environment, folder: Path) -> None:
    """Make the folder if it is missing. Raises UsageError."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            data_folder.sync_directory(folder.parent)
        why = "" if folder.is_dir() else "it is not a folder"
    except OSError as error:
        why = str(error.strerror)
    if why:
        owner = env.data.stat()
        raise UsageError(
            f"--copy: {folder} cannot be used ({why}); make the folder first: install -d -m 700 -o {owner.st_uid} -g"
            f" {owner.st_gid} {folder}"
        )

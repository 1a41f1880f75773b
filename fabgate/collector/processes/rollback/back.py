"""Goes back to the newest copy from before an update, and says before what that would lose."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import django

import fabgate
from fabgate.collector.ground.base import called, data_folder, environ
from fabgate.collector.ground.db import migration, postgresql
from fabgate.collector.processes import backup, ends
from fabgate.collector.processes.rollback import copies, database, dumps, versions
from fabgate.collector.processes.rollback.copies import UpdateCopy
from fabgate.errors import FabgateError, UsageError

if TYPE_CHECKING:
    from fabgate.collector.processes.rollback.lost import Lost


@dataclass(frozen=True, slots=True)
class Prospect:
    """The copy, what going back to it would lose, and whether this program can use it as it is.

    `lost` is None where there is nothing to go back from: the database has the tables of the copy.
    """

    copy: UpdateCopy
    lost: Lost | None
    fits: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """The copy that was restored, and where the database is that was there before: a folder, or a dump."""

    copy: UpdateCopy
    aside: Path | None


def look(env: environ.Environment, folder: Path) -> Prospect:
    """Say what going back would lose; nothing is changed, and the collector may run.

    Raises UsageError if there is no copy, or no database, and FabgateError if the database cannot be read.
    """
    _set_up()
    from fabgate.collector.processes.rollback import lost  # noqa: PLC0415 (it needs the models, which are ready now)

    copy = _newest(env, folder)
    _refuse_half(env)
    with database.reading(env) as present:
        steps = _steps(copy)
        found = None if present.steps() == steps else lost.count(present, copy.at, _last(copy))
    return Prospect(copy, found, fits=steps == migration.of_program())


def go(env: environ.Environment, folder: Path) -> Restored | None:
    """Go back to the newest copy; None where there is nothing to go back from, as after doing it.

    Raises UsageError if there is no copy, if a process of the collector runs, or if this program would bring the copy up
    to date again, and FabgateError if the copy cannot be restored.
    """
    _set_up()
    copy = _newest(env, folder)
    steps, is_back = _compare(env, copy)
    if is_back:
        return None
    if steps != migration.of_program():
        earlier = versions.install(copy.before)
        raise UsageError(
            f"found fabgate {fabgate.__version__}, which would bring {copy.path.name} up to date again, wanted the version"
            f" that made its tables ({copy.before or 'not known'}); install it first ({earlier}), and run this again"
        )
    if env.database_url:
        return Restored(copy, _restore_dump(env, copy))
    return Restored(copy, backup.restore(env, copy.path, replace=True).aside)


def _restore_dump(env: environ.Environment, copy: UpdateCopy) -> Path:
    """Restore a dump in one transaction, after dumping what is there now to a file beside it."""
    aside = copy.path.with_name(f"fabgate-{env.site}-before-rollback-{copies.moment(datetime.now(UTC))}{copies.DUMP}")
    with backup.alone(env) as lock, postgresql.migration_lock():
        copies.delete_unfinished(copy.path.parent)
        dumps.dump(aside)
        try:
            dumps.restore(copy.path, lock=lock)
        except FabgateError:
            aside.unlink()  # nothing was changed
            raise
        (env.data / data_folder.UPDATING).unlink(missing_ok=True)  # the next update is of another database
        _invalidate(env)
    return aside


def _invalidate(env: environ.Environment) -> None:
    """End sign-ins and the like now. If this process is killed before, the next start finds that the tables are others."""
    from fabgate.collector.ground.models import Collector  # noqa: PLC0415 (the models are ready now)
    from fabgate.collector.processes import restored_database  # noqa: PLC0415

    place = Collector.objects.get().place
    restored_database.detect(env.data)
    if place in {"", postgresql.identity()}:  # then it was not detected
        restored_database.invalidate(env.data)


def _newest(env: environ.Environment, folder: Path) -> UpdateCopy:
    return copies.newest(env.site, folder.absolute(), copies.DUMP if env.database_url else copies.TAR)


def _refuse_half(env: environ.Environment) -> None:
    """Refuse to look at a database that is half restored."""
    if not env.database_url and (env.data / data_folder.RESTORING).exists():
        raise UsageError(
            f"a restore of {env.data} was interrupted; run `{called.command('rollback --yes')}` again, or restore another"
            f" copy with `{called.command('restore FILE --replace')}`"
        )


def _compare(env: environ.Environment, copy: UpdateCopy) -> tuple[set[str], bool]:
    """Return the migrations of a copy, and whether the database has just these: going back again would only lose more."""
    is_half = (env.data / data_folder.RESTORING).exists() or not env.database.is_file()
    if is_half and not env.database_url:
        return _steps(copy), False  # going back was interrupted
    with database.reading(env) as present:
        steps = _steps(copy)
        return steps, present.steps() == steps


def _steps(copy: UpdateCopy) -> set[str]:
    """Return the migrations of the database in a copy. Raises UsageError if it cannot be read, or does not say."""
    found = dumps.steps(copy.path) if copy.path.name.endswith(copies.DUMP) else {*backup.contents(copy.path).steps}
    if not found:
        raise UsageError(f"{copy.path} does not say which tables it has, wanted a copy that `migrate --copy` made")
    return found


def _last(copy: UpdateCopy) -> ends.Ends:
    """Return where the tables of a copy end. Raises UsageError if it cannot be read."""
    return dumps.last(copy.path) if copy.path.name.endswith(copies.DUMP) else backup.contents(copy.path).ends


def _set_up() -> None:
    """Set up Django, without which the migrations of this version are not known. No table is used."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
    django.setup()

"""Prepares a verb of the collector: checks the environment, and makes keys and tables if needed.

Nothing is ever overwritten, and processes that start at once wait for each other.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django
from django.conf import settings
from django.db import connection
from django.utils import timezone

import fabgate
from fabgate.collector.ground.base import called, data_folder, environ, logs
from fabgate.collector.ground.base.key_files import new_key, write_secret
from fabgate.collector.ground.db import migration, postgresql
from fabgate.errors import FabgateError, NewerTablesError, UsageError

if TYPE_CHECKING:
    from fabgate.collector.ground.models import Collector

log = logging.getLogger(__name__)

#: Sets the time zone and the language of a new collector.
FirstStart = Callable[[environ.Environment], environ.Environment]
#: Makes a copy of the collector before its tables change. What it raises prevents the change.
BeforeUpdate = Callable[[environ.Environment], None]
#: Errors that no later attempt can fix: the path cannot be a directory of this account.
_NEVER_USABLE: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ELOOP, errno.ENAMETOOLONG),
    }
)
#: How long services that restart together may take to end (TimeoutStopSec in their units).
OTHERS_END_S: Final = 30.0


def prepare(
    *,
    make: bool = True,
    owns: bool = False,
    process: str = "",
    first_start: FirstStart = lambda found: found,
    before_update: BeforeUpdate = lambda _found: None,
) -> environ.Environment:
    """Bring keys and tables up to date, set up Django, and return the environment.

    A missing database is created, with a note on stderr, unless `make` is False: verbs that only show something must
    not create an empty one in a wrong place. A verb that `owns` the collector may change its time zone; others use the
    stored one. At the first start by such a verb `first_start` is called, and `before_update` before the tables of a
    database that is there are changed. `process` is the prefix of log lines. Raises
    UsageError with a line for each mistake in the environment, and FabgateError if the disk or the database is
    unavailable or full.
    """
    found = environ.read(os.environ, need_site=True)
    logs.set_up(found.log, process)
    try:
        parts = (found.badge_key_file, found.database, found.data / data_folder.RESTORING)
        if not make and not found.database_url and not any(map(_is_there, parts)):
            raise UsageError(
                f"found no collector database at {found.database}; set FABGATE_DATA to its directory, or make a new one"
                f" with `{called.command('run')}`"
            )
        found.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with data_folder.alone(found.data / data_folder.STARTING):
            handle = data_folder.use(found.data)
            if not found.database_url and not _is_there(found.database):
                if _is_there(found.badge_key_file):
                    raise UsageError(
                        f"found the keys of a collector in {found.data}, but not its {found.database.name}; put the"
                        f" database back, or restore a copy with `{called.command('restore FILE --replace')}`; for a new"
                        " collector, move the keys away"
                    )
                sys.stderr.write(f"note: making a new collector in {found.data}: database and keys (FABGATE_DATA)\n")
            write_secret(found.secret_key_file, secrets.token_urlsafe(48) + "\n")
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
            bring_up = partial(
                _migrate, found, owns=owns, first_start=first_start, before_update=before_update, handle=handle
            )
            if found.database_url:
                _prepare_postgresql(found, make=make, bring_up=bring_up)
            else:
                _prepare_sqlite(found, bring_up=bring_up)
            # last, because it marks a complete collector: an interrupted first start can be repeated
            write_secret(found.badge_key_file, new_key("b1"))
            if found.broker_control and found.mqtt_password_file == found.data / data_folder.PASSWORD:
                write_secret(found.mqtt_password_file, secrets.token_hex(24) + "\n")
    except OSError as error:
        where, why = f"FABGATE_DATA: found {str(found.data)!r}", error.strerror or error
        if error.errno in _NEVER_USABLE:
            raise UsageError(
                f"{where}, which cannot be used ({why}); wanted a directory that this account can write"
            ) from error
        # not UsageError, which ends `run`: a disk that is full or unmounted may come back
        raise FabgateError(
            f"{where}, which cannot be used now ({why}); make room on its disk, or check that the disk is mounted"
        ) from error
    environment: environ.Environment = settings.ENVIRONMENT
    return environment


def _is_there(path: Path) -> bool:
    """Return whether the file exists. Raises OSError if this account may not know."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _prepare_sqlite(found: environ.Environment, *, bring_up: Callable[[], None]) -> None:
    is_new = not found.database.exists()
    found.database.touch(0o600)  # no other code creates the file (settings.py)
    django.setup()
    bring_up()
    connection.close()
    if is_new:
        data_folder.sync_directory(
            found.data
        )  # otherwise a power cut may lose the whole file with all acknowledged entries


def _prepare_postgresql(found: environ.Environment, *, make: bool, bring_up: Callable[[], None]) -> None:
    postgresql.check_library()
    django.setup()
    postgresql.connect()
    with postgresql.migration_lock():
        if postgresql.is_empty():
            where = f"the database on {postgresql.host()}"
            if not make:
                raise UsageError(
                    f"found no collector in {where}; correct FABGATE_DATABASE_URL, or make a new one with"
                    f" `{called.command('run')}`"
                )
            sys.stderr.write(f"note: making a new collector in {where}, and keys in {found.data}\n")
        bring_up()
    connection.close()


def _migrate(
    found: environ.Environment, *, owns: bool, first_start: FirstStart, before_update: BeforeUpdate, handle: int
) -> None:
    if not migration.is_complete():
        missing = _check_version(owns=owns, handle=handle)
        if missing:
            before_update(found)
        migration.migrate(missing)
    # The app registry is ready only now, so the models cannot be imported above.
    from fabgate.collector.ground.models import Collector  # noqa: PLC0415
    from fabgate.collector.processes import restored_database  # noqa: PLC0415
    from fabgate.collector.processes.verify import audit_head  # noqa: PLC0415

    known = Collector.get(found.site)
    audit_head.keep_up(found.data)  # makes the file of a new collector, before anything is logged
    _check_site(found.site, known.site)
    restored_database.finish_restore(found.data)
    restored_database.detect(found.data)
    if owns:
        restored_database.count(found.data)
    if owns and not known.rolled_tz:
        found = first_start(found)
    _check_zone(found, known, owns=owns, handle=handle)
    _take_language(found, known, owns=owns)
    with suppress(OSError):  # the name of a copy then says that the version is not known
        data_folder.note_used(found.data, fabgate.__version__)


def _check_version(*, owns: bool, handle: int) -> list[str]:
    """Prevent two versions from writing at once: one may sum figures (recording/sessions/sums.py) that the other does not have.

    Return the names of the missing migrations of an older database. Raises UsageError for a database of a newer
    version, and for one from before 0.1.0; also for an older one that other processes use, unless they end: a service
    waits for that, because services are restarted together.
    """
    steps = migration.steps()
    if migration.is_before_release(steps.applied):
        raise UsageError(f"found a database from before fabgate 0.1.0; {migration.KEEP_IT}")
    if steps.newer:
        raise NewerTablesError(
            f"found a database of a newer version than fabgate {fabgate.__version__} ({steps.newer[-1]}); install the version"
            " that used it last, or a newer one; to go back to the copy from before the update, see"
            f" `{called.command('rollback')}`"
        )
    if steps.missing and not data_folder.is_left_alone(handle, OTHERS_END_S if owns else 0):
        raise UsageError(
            f"found a database of a version before fabgate {fabgate.__version__}, and other processes that use it; restart"
            f" `{called.command('run')}` (or systemctl restart fabgate-collector.target), or stop them first"
        )
    return list(steps.missing)


def _check_site(found: str, known: str) -> None:
    if known != found:
        raise FabgateError(
            f"FABGATE_SITE: found {found!r}, but the database holds the site {known!r}; correct one, or set another"
            " FABGATE_DATA"
        )


def _check_zone(found: environ.Environment, row: Collector, *, owns: bool, handle: int) -> None:
    """Use the time zone of the database, which its sums and rosters have, or change it for all processes."""
    from fabgate.collector.recording.sessions import sums  # noqa: PLC0415 (as above)

    known = row.rolled_tz
    tz = found.tz if owns and found.is_tz_set else known or found.tz
    if found.is_tz_set and found.tz != tz:
        raise UsageError(
            f"FABGATE_TZ: found {found.tz!r}, but the collector's time zone is {known!r}; unset it, or change the zone:"
            f" set it for `{called.command('run')}` (or its units) and restart that"
        )
    if known not in {"", tz} and not data_folder.is_left_alone(handle, OTHERS_END_S):
        raise UsageError(
            f"FABGATE_TZ: found {found.tz!r}, but the collector's time zone is {known!r}, and other processes run;"
            " set the same for all of them (/etc/fabgate/collector.env), or unset it, and restart them together"
            " (systemctl restart fabgate-collector.target)"
        )
    if not found.is_tz_set:
        if not known and not owns:
            return  # no zone is stored yet: a service will store it, and compute the sums
        _use_zone(tz)
    if known != tz and (sums.ensure(tz) or known):
        log.info("the daily sums now use the time zone %s", tz)


def _take_language(found: environ.Environment, row: Collector, *, owns: bool) -> None:
    """Use the language of FABGATE_LANG, or else that of the database; a verb that `owns` the collector stores it."""
    lang = found.lang if found.is_lang_set else row.lang or found.lang
    if owns and row.lang != lang:
        row.lang = lang
        row.save(update_fields=["lang"])
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, lang=lang)


def _use_zone(tz: str) -> None:
    """Set the stored time zone in settings, which Django loaded before the database could be read."""
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, tz=tz)
    settings.TIME_ZONE = os.environ["TZ"] = tz
    time.tzset()
    timezone.get_default_timezone.cache_clear()  # type: ignore[attr-defined]  # the stubs know no caches

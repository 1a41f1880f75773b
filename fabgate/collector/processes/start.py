"""What must be true before any verb of the collector may run? The environment is right, the keys and tables exist.

Nothing is ever overwritten, and two processes that start at once wait for each other.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

import fabgate
from fabgate.collector.base import data_folder, environ, logs
from fabgate.collector.base.key_files import new_key, write_secret
from fabgate.collector.db import postgresql
from fabgate.collector.processes import migration
from fabgate.errors import FabgateError, UsageError

if TYPE_CHECKING:
    from fabgate.collector.models import Collector

log = logging.getLogger(__name__)

_APP: Final = "collector"
#: Settles the time zone and the language of a collector that has none yet.
FirstStart = Callable[[environ.Environment], environ.Environment]
#: What no later attempt mends: the path is none for a directory of this account.
_NEVER_USABLE: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        *(errno.ELOOP, errno.ENAMETOOLONG),
    }
)
#: So long the services that are told to restart together may take to end (their units: TimeoutStopSec).
OTHERS_END_S: Final = 30.0


def prepare(
    *,
    make: bool = True,
    owns: bool = False,
    process: str = "",
    first_start: FirstStart = lambda found: found,
) -> environ.Environment:
    """Bring keys and tables up to date, set up Django, and return the environment.

    Where there is no database yet it is made, and where is said on stderr; unless `make` is False, for verbs that
    would have nothing to look at: an empty one beside the true one only misleads. Whoever `owns` the
    collector may take it to another time zone; others live in the one that it has. `process` begins each line of the log.
    `first_start` is called where the one who owns it starts it for the first time.
    Raises UsageError with one line for each mistake in the environment, and FabgateError where the disk or the database is
    away, or full.
    """
    found = environ.read(os.environ, need_site=True)
    logs.set_up(found.log, process)
    try:
        if not make and not found.database_url and not any(map(_is_there, (found.badge_key_file, found.database))):
            raise UsageError(
                f"found no collector database at {found.database}; wanted FABGATE_DATA to point at it, or"
                " `fabgate collector run` to make one"
            )
        found.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with data_folder.alone(found.data / data_folder.STARTING):
            handle = data_folder.use(found.data)
            if not found.database_url and not _is_there(found.database):
                if _is_there(found.badge_key_file):
                    raise UsageError(
                        f"found the keys of a collector in {found.data}, but no {found.database.name}; wanted its"
                        " database: put it back, or a copy by `fabgate collector restore FILE --replace`; where there"
                        " shall be none, move the keys away"
                    )
                sys.stderr.write(f"note: making a new collector in {found.data}: database and keys (FABGATE_DATA)\n")
            write_secret(found.secret_key_file, secrets.token_urlsafe(48) + "\n")
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
            if found.database_url:
                _prepare_postgresql(found, make=make, owns=owns, first_start=first_start, handle=handle)
            else:
                _prepare_sqlite(found, owns=owns, first_start=first_start, handle=handle)
            # Last, because with it there was a collector: a first start that is cut off may be repeated.
            write_secret(found.badge_key_file, new_key("b1"))
    except OSError as error:
        where, why = f"FABGATE_DATA: found {str(found.data)!r}", error.strerror or error
        if error.errno in _NEVER_USABLE:
            raise UsageError(
                f"{where}, which cannot be used ({why}); wanted a directory that this account may write"
            ) from error
        # Not UsageError: `run` ends for wrong input, and a disk that is full or away comes back.
        raise FabgateError(
            f"{where}, which cannot be used now ({why}); make room on its disk, or see that the disk is there"
        ) from error
    environment: environ.Environment = settings.ENVIRONMENT
    return environment


def settle() -> None:
    """Take what is loaded by now out of the garbage collector's sight: it stays, and each look at it takes 0.1 s.

    For processes that somebody waits for: an acknowledgement, or a page, would be late by that much now and then.
    """
    gc.collect()
    gc.freeze()


def _is_there(path: Path) -> bool:
    """Return whether there is such a file. Raises OSError where this account may not know."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _prepare_sqlite(found: environ.Environment, *, owns: bool, first_start: FirstStart, handle: int) -> None:
    is_new = not found.database.exists()
    found.database.touch(0o600)  # nobody else makes one (settings.py)
    django.setup()
    _migrate(found, owns=owns, first_start=first_start, handle=handle)
    connection.close()
    if is_new:
        data_folder.sync_directory(
            found.data
        )  # without it, a power cut may lose the whole file with what was acknowledged


def _prepare_postgresql(
    found: environ.Environment, *, make: bool, owns: bool, first_start: FirstStart, handle: int
) -> None:
    postgresql.check_library()
    django.setup()
    postgresql.connect()
    with postgresql.migration_lock():
        if postgresql.is_empty():
            where = f"the database on {postgresql.host()}"
            if not make:
                raise UsageError(
                    f"found no collector in {where}; wanted FABGATE_DATABASE_URL to point at it, or `fabgate collector"
                    " run` to make one"
                )
            sys.stderr.write(f"note: making a new collector in {where}, and keys in {found.data}\n")
        _migrate(found, owns=owns, first_start=first_start, handle=handle)
    connection.close()


def _migrate(found: environ.Environment, *, owns: bool, first_start: FirstStart, handle: int) -> None:
    migration.migrate(_check_version(owns=owns, handle=handle))
    # The app registry is ready only now, so the models cannot be imported above.
    from fabgate.collector.models import Collector  # noqa: PLC0415
    from fabgate.collector.processes import restored_database  # noqa: PLC0415

    known = Collector.get(found.site)
    _check_site(found.site, known.site)
    restored_database.settle(found.data)
    restored_database.notice(found.data)
    if owns:
        restored_database.count(found.data)
    if owns and not known.rolled_tz:
        found = first_start(found)
    _check_zone(found, known, owns=owns, handle=handle)
    _take_language(found, known, owns=owns)


def _check_version(*, owns: bool, handle: int) -> list[str]:
    """Let nobody write as another version has it: what one adds up (sessions/sums.py) the other does not know of.

    Returns the names of the migrations that an older database lacks; none for one that is new or up to date. Raises
    UsageError for a database of a newer version, and for one from before 0.1.0; and for an older one while others use it,
    unless they end: a service waits for that, as they are told to restart together.
    """
    executor = MigrationExecutor(connection)
    applied = executor.loader.applied_migrations
    if migration.is_before_0_1_0(
        {name for app, name in applied if app == _APP}, connection.introspection.table_names()
    ):
        raise UsageError(f"found a database from before fabgate 0.1.0; {migration.KEEP_IT}")
    if newer := sorted(name for app, name in applied.keys() - executor.loader.disk_migrations.keys() if app == _APP):
        raise UsageError(
            f"found a database that knows more than fabgate {fabgate.__version__} ({newer[-1]}); install the version that"
            " used it last, or a newer one"
        )
    left = [step.name for step, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())] if applied else []
    if left and not data_folder.is_left_alone(handle, OTHERS_END_S if owns else 0):
        raise UsageError(
            f"found a database of a version before fabgate {fabgate.__version__}, and other processes that use it; restart"
            " `fabgate collector run` (or systemctl restart fabgate-collector.target), or stop them first"
        )
    return left


def _check_site(found: str, known: str) -> None:
    if known != found:
        raise FabgateError(
            f"FABGATE_SITE: found {found!r}, but the database holds the site {known!r}; correct one, or set another"
            " FABGATE_DATA"
        )


def _check_zone(found: environ.Environment, row: Collector, *, owns: bool, handle: int) -> None:
    """Live in the zone of the database: sums of days and rosters are made in it, and nobody else's shall be mixed in."""
    from fabgate.collector.sessions import sums  # noqa: PLC0415 (as above)

    known = row.rolled_tz
    tz = found.tz if owns and found.is_tz_said else known or found.tz
    if found.is_tz_said and found.tz != tz:
        raise UsageError(
            f"FABGATE_TZ: found {found.tz!r}, but the collector lives in {known!r}; unset it, or set it for"
            " `fabgate collector run` (or its units) and restart that: it takes the collector to another zone"
        )
    if known not in {"", tz} and not data_folder.is_left_alone(handle, OTHERS_END_S):
        raise UsageError(
            f"FABGATE_TZ: found {found.tz!r}, but the collector lives in {known!r}, and other processes of it run;"
            " set the same for all of them (/etc/fabgate/collector.env), or unset it, and restart them together"
            " (systemctl restart fabgate-collector.target)"
        )
    if not found.is_tz_said:
        if not known and not owns:
            return  # nobody has said yet where it lives: whoever owns it does, and sums up all that there is
        _live_in(tz)
    if known != tz and (sums.ensure(tz) or known):
        log.info("the sums of days are those of %s now", tz)


def _take_language(found: environ.Environment, row: Collector, *, owns: bool) -> None:
    """Use the language of FABGATE_LANG, else that of the database; an owner stores it."""
    lang = found.lang if found.is_lang_said else row.lang or found.lang
    if owns and row.lang != lang:
        row.lang = lang
        row.save(update_fields=["lang"])
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, lang=lang)


def _live_in(tz: str) -> None:
    """Make what Django was set up with, before the database could be asked, that of the database."""
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, tz=tz)
    settings.TIME_ZONE = os.environ["TZ"] = tz
    time.tzset()
    timezone.get_default_timezone.cache_clear()  # type: ignore[attr-defined]  # the stubs know no caches

"""Runs Django's migrations quickly on a large database, and logs the progress."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Final

from django.apps import apps
from django.core.management import call_command
from django.core.management.commands.migrate import Command
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

import fabgate
from fabgate import installed
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

APP: Final = "collector"
#: Tables that grow with the years; the size of the others depends on the workshop. No migration copies one of these
#: (tests/collector/ground/db/test_migrations.py).
GROWING: Final = frozenset(
    f"collector_{name}"
    for name in ("boot", "change", "entry", "ledgerline", "refusal", "usageday", "usagemonth", "usagesession")
)

#: Lists the applied migrations of all apps.
APPLIED: Final = "SELECT app, name FROM django_migrations"
#: The step that makes the tables of the first release. A database that has others of our steps, and not this one, is of an
#: earlier commit.
_RELEASE: Final = "0001_release"
#: The end of the error about such a database: what to do with it.
KEEP_IT: Final = (
    "wanted one of 0.1.0 or later, as no migration brings it there; keep it with the version that made it, which still"
    " shows and exports the books, and start a new collector in an empty FABGATE_DATA (docs/reference.md)"
)


def is_before_release(steps: Collection[str]) -> bool:
    """Return whether a database is from before the first release, by its applied migrations of ours."""
    return bool(steps) and _RELEASE not in steps


@dataclass(frozen=True, slots=True)
class Steps:
    """How the database compares with this version: its migrations, those that it lacks, and those of a newer version."""

    applied: frozenset[str]
    missing: tuple[str, ...]
    newer: tuple[str, ...]


def is_complete() -> bool:
    """Return whether the database has exactly the migrations of this version, in 2 ms: `steps` takes 80 ms.

    Nearly every start finds it so. No migration is imported, only the names of their files are read. Raises UsageError
    for files of two versions.
    """
    recorder = MigrationRecorder(connection)
    names = _names()
    return recorder.has_table() and recorder.applied_migrations().keys() == names


def of_program() -> set[str]:
    """Return the migrations of this version of all apps, such as ``collector.0001_release``.

    The database is not used. Raises UsageError for files of two versions.
    """
    return {f"{app}.{name}" for app, name in _names()}


def _names() -> set[tuple[str, str]]:
    """Return the label and the name of each migration of the installed apps. Raises UsageError for files of two versions."""
    _check_files()
    found = set()
    for app in apps.get_app_configs():
        module, _ = MigrationLoader.migrations_module(app.label)
        with suppress(ModuleNotFoundError):  # an app without tables has none
            found |= {(app.label, name) for name in _files(import_module(module or ""))}
    return found


def _files(module: ModuleType) -> set[str]:
    return {file.name for file in iter_modules(module.__path__) if file.name[0] not in "_~"}


def _check_files() -> None:
    """Raise UsageError unless the files of our migrations are the known ones: others are from another version."""
    module = import_module(MigrationLoader.migrations_module(APP)[0] or "")
    files, known = _files(module), set(module.KNOWN)
    if files != known:
        what = ", ".join(
            [
                *(f"{name} is too many" for name in sorted(files - known)),
                *(f"{name} is missing" for name in sorted(known - files)),
            ][:3]
        )
        raise UsageError(
            f"found the files of two versions in {Path(fabgate.__file__).parent} ({what}), wanted those of fabgate"
            f" {fabgate.__version__} only; install it again ({installed.cleanly()})"
        )


def steps() -> Steps:
    """Compare the database with this version. `missing` is empty for a database without any tables of ours.

    Raises UsageError for files of two versions.
    """
    _check_files()
    executor = MigrationExecutor(connection)
    applied = executor.loader.applied_migrations
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes()) if applied else []
    newer = sorted(name for app, name in applied.keys() - executor.loader.disk_migrations.keys() if app == APP)
    ours = frozenset(name for app, name in applied if app == APP)
    return Steps(ours, tuple(step.name for step, _ in plan), tuple(newer))


def migrate(steps: Sequence[str]) -> None:
    """Run the missing migrations, and log each of `steps` as it begins. For a new database `steps` is empty."""
    if connection.vendor == "sqlite" and not connection.introspection.table_names():
        lay_out()
        return
    with _checks_of_small_tables():
        call_command(_LoggedMigrate(steps), verbosity=0, interactive=False)


def lay_out() -> None:
    """Make the tables of a new SQLite database all at once, as its migrations make them step by step.

    It takes a fifth of their time, which a Raspberry Pi notices. tests/collector/ground/db/test_migrations.py compares
    both.
    """
    names = _names()
    recorder = MigrationRecorder(connection)
    wanted: list[type[models.Model]] = [recorder.Migration, *apps.get_models()]
    with connection.schema_editor() as editor:
        for model in wanted:
            if model._meta.can_migrate(connection):  # noqa: SLF001 (Django's name for its documented API)
                editor.create_model(model)
        for label, name in sorted(names):
            recorder.record_applied(label, name)
    emit_post_migrate_signal(verbosity=0, interactive=False, db=connection.alias)


@contextmanager
def _checks_of_small_tables() -> Iterator[None]:
    """On SQLite, let Django check foreign keys only in tables that do not grow with the years.

    Django checks the whole database after each migration: with twenty million entries that takes a minute and a half.
    Broken keys of small tables are refused as before, and no migration copies the large ones.
    """
    if connection.vendor != "sqlite":
        yield
        return
    check = connection.check_constraints

    def check_small(table_names: Iterable[str] | None = None) -> None:
        check(sorted({*connection.introspection.table_names()} - GROWING) if table_names is None else table_names)

    connection.check_constraints = check_small  # type: ignore[method-assign]  # Django has no setting for this
    try:
        yield
    finally:
        del connection.check_constraints


class _LoggedMigrate(Command):
    """Django's migrate command, with log lines for the steps."""

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__()
        self._steps = list(steps)

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        """Log which step begins."""
        if action == "apply_start" and migration.name in self._steps:
            at = self._steps.index(migration.name) + 1
            log.info("bringing the database up to date: %s (%d of %d)", migration.name, at, len(self._steps))
        super().migration_progress_callback(action, migration, fake)

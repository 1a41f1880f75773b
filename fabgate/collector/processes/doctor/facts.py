"""Reads the facts that several checks of a collector need, each once. Nothing is made or migrated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import django
from django.db import DatabaseError, InterfaceError, connection

from fabgate.collector.ground.base import environ
from fabgate.collector.ground.base.environ import Environment
from fabgate.doctor.finding import UndeterminedError
from fabgate.doctor.system import System
from fabgate.errors import UsageError

if TYPE_CHECKING:
    from fabgate.collector.faces.api.health import Health


class Facts:
    """What is known of the collector with these variables of the environment; `copies` is the folder of its copies."""

    def __init__(self, variables: Mapping[str, str], system: System, copies: Path) -> None:
        self.variables = variables
        self.system = system
        self.copies = copies
        self.now = datetime.now(UTC)

    @cached_property
    def environment(self) -> Environment:
        """Return the settings. Raises UndeterminedError where they have mistakes."""
        try:
            return environ.read(self.variables, need_site=True)
        except UsageError as error:
            raise UndeterminedError("the environment has mistakes") from error

    def set_up(self) -> Environment:
        """Set up Django, without which no model can be imported, and return the settings. The database is not used."""
        found = self.environment
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fabgate.collector.settings")
        django.setup()
        return found

    @cached_property
    def database_trouble(self) -> str:
        """Return why the database does not answer, or ""."""
        found = self.set_up()
        if not found.database_url and not found.database.is_file():
            return f"there is no {found.database}"
        try:
            connection.ensure_connection()
        except (DatabaseError, InterfaceError) as error:
            return " ".join(str(error).split())
        return ""

    @cached_property
    def health(self) -> Health:
        """Return what /healthz knows. Raises UndeterminedError without a database of this version."""
        if self.database_trouble:
            raise UndeterminedError("the database does not answer")
        # Models can be imported only once Django is set up.
        from fabgate.collector.faces.api import health  # noqa: PLC0415
        from fabgate.collector.ground.db import migration  # noqa: PLC0415

        try:
            steps = migration.steps()
        except UsageError as error:
            raise UndeterminedError(str(error)) from error
        if steps.missing or steps.newer or not steps.applied:
            raise UndeterminedError("the database is not one of this version")
        return health.look(self.now)

"""A database of its own for a test, or for a file of tests that copy it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.collector import postgresql


@contextmanager
def using(template: Path, home: Path) -> Iterator[Path]:
    """Use an empty database: a file in `home`, or that of the process on PostgreSQL."""
    from django.db import connection

    own = home / "collector.db"
    if postgresql.SERVER:
        postgresql.empty()
        yield own
        connection.close()
        return
    shutil.copyfile(template, own)
    connection.close()
    connection.settings_dict["NAME"] = str(own)
    yield own
    connection.close()
    connection.settings_dict["NAME"] = str(template)

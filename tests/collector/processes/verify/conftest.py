"""Books that are written once for all tests of a file; each test has a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection

from tests.collector import postgresql
from tests.collector.own_database import using
from tests.collector.processes.verify.story import write_books


@pytest.fixture(scope="module")
def shelf(template: Path, tmp_path_factory) -> Callable[[Path], None]:
    """Write the books once; the function puts a copy of them into a data folder and its database."""
    home = tmp_path_factory.mktemp("shelf")
    with using(template, home):
        write_books(home)
        rows = postgresql.rows() if postgresql.SERVER else {}

    def put_copy(data: Path) -> None:
        for file in home.iterdir():
            shutil.copyfile(file, data / file.name)
        if postgresql.SERVER:
            postgresql.put_back(rows)

    return put_copy


@pytest.fixture
def books(shelf, database: Path) -> Path:
    """A copy of the books; return the data folder."""
    connection.close()
    shelf(database.parent)
    return database.parent

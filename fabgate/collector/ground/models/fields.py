"""A boolean field whose conditions have the same SQL in every version of Django.

SQLite uses a partial index only if the query repeats the text of the index's condition. Django used to write false as
``NOT "x"`` and, since 6.1, writes ``"x" = 0``, so queries of one version do not use an index made by another
(docs/decisions/0033).
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Lookup
from django.db.models.sql.compiler import SQLCompiler


class Flag(models.BooleanField):  # type: ignore[type-arg]  # at run time it takes none
    """A boolean for conditions of indexes: in them and in queries it is written ``"x"`` or ``NOT "x"``."""


@Flag.register_lookup
class _Is(Lookup):
    """Allows only ``flag=True`` and ``flag=False``, no expressions or other values."""

    lookup_name = "exact"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        if not isinstance(self.rhs, bool):
            raise TypeError(f"found the flag compared with {self.rhs!r}, wanted True or False")
        column, values = self.process_lhs(compiler, connection)
        return (column if self.rhs else f"NOT {column}"), values

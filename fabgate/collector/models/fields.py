"""How does a condition on a yes or no read in SQL? The same under every version of Django.

SQLite uses a partial index only where the text of a query says what the text of the index's condition says. Django has
written "no" as ``NOT "x"`` and, since 6.1, as ``"x" = 0``: an index that one version made is of no use to the queries of
the other (docs/decisions/0033). So we write it ourselves.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.lookups import Lookup
from django.db.models.sql.compiler import SQLCompiler


class Flag(models.BooleanField):  # type: ignore[type-arg]  # at run time it takes none
    """A yes or no that conditions of indexes name: in them, and in queries, it is ``"x"`` or ``NOT "x"``."""


@Flag.register_lookup
class _Is(Lookup):
    """``flag=True`` and ``flag=False``, and nothing else: another value, or an expression, has no place here."""

    lookup_name = "exact"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        if not isinstance(self.rhs, bool):
            raise TypeError(f"found the flag compared with {self.rhs!r}, wanted True or False")
        column, values = self.process_lhs(compiler, connection)
        return (column if self.rhs else f"NOT {column}"), values

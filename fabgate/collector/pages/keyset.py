"""Keyset pagination: pages start after the last row shown, so that the last page is as fast as the first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _

from fabgate.errors import UsageError

Row = TypeVar("Row", bound=Model)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"(\d{1,18})_(.{1,200})")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, newest first, and the query strings of the adjacent pages, empty if there are none."""

    rows: Sequence[Row]
    newer: str
    older: str


def page(rows: QuerySet[Row, Row], at: str, query: QueryDict, *, size: int = 50) -> Page[Row]:
    """Return the page of `rows` that `query` asks for with ?before= or ?after=, ordered by the field `at` and the id.

    `rows` must be unordered. Raises UsageError for an invalid cursor.
    """
    before, after = (_cursor(query, name, rows.model._meta.pk) for name in ("before", "after"))  # noqa: SLF001
    forwards = after is not None
    order = (at, "pk") if forwards else (f"-{at}", "-pk")
    cursor = after or before
    wanted = rows.order_by(*order)
    if cursor is not None:
        moment, pk = cursor
        side = "gt" if forwards else "lt"
        # The first filter is a range that an index can serve. The "or" alone would make the database scan all pages
        # before this one.
        wanted = wanted.filter(**{f"{at}__{side}e": moment})
        wanted = wanted.filter(Q(**{f"{at}__{side}": moment}) | Q(**{at: moment, f"pk__{side}": pk}))
    found = list(wanted[: size + 1])
    more, found = len(found) > size, found[:size]
    if forwards:
        found.reverse()
    if not found:
        return Page([], "", _with(query, {}) if cursor else "")
    has_newer = more if forwards else cursor is not None
    has_older = forwards or more
    return Page(
        found,
        newer=_with(query, {"after": _named(found[0], at)}) if has_newer else "",
        older=_with(query, {"before": _named(found[-1], at)}) if has_older else "",
    )


def _cursor(query: QueryDict, name: str, key: Field[Any, Any]) -> tuple[datetime, Any] | None:
    text = query.get(name, "")
    if not text:
        return None
    match = _CURSOR.fullmatch(text)
    try:
        found = (_EPOCH + timedelta(microseconds=int(match[1])), key.to_python(match[2])) if match else None
    except (OverflowError, ValidationError):
        found = None
    if found is None:
        raise UsageError(_("Invalid page address. Open the list again from its beginning."))
    return found


def _named(row: Model, at: str) -> str:
    moment: datetime = getattr(row, at)
    return f"{(moment - _EPOCH) // timedelta(microseconds=1)}_{row.pk}"


def _with(query: QueryDict, cursor: dict[str, str]) -> str:
    kept = [(name, value) for name, values in query.lists() if name not in {"before", "after"} for value in values]
    return "?" + urlencode([*kept, *cursor.items()])

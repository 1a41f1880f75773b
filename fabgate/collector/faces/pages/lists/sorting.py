"""Sorts tables by their headers: reads a query such as ``?sort=-sessions``, and makes the links and aria-sort."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.ground.base.search_key import folded

Row = TypeVar("Row")
Listed = TypeVar("Listed", bound=Model)
_DIGITS: Final = re.compile(r"(\d{1,18})")


class SortOrder(NamedTuple):
    """A column, or "" for the view's own order, and whether the largest values come first."""

    column: str
    is_descending: bool


class Header(NamedTuple):
    """The aria-sort of a header, and the address that sorts by it; for the current column, that reverses the order."""

    aria: str
    url: str


class Labelled(NamedTuple):
    """A column of a list that is sorted by what the page shows for its values, such as names for ids."""

    expression: Any
    #: Returns the texts for some values; those without one come last.
    labels: Callable[[Iterable[Any]], Mapping[Any, str]]


class Sorting:
    """The order of a table, from the query of its page, and the headers that change it.

    `columns` are written as in the query: with a ``-`` the first click sorts the largest values first. An unknown
    column means `default`, or without one the view's own order. `path` is the page that shows the table, if it is
    another one; `anchor` is the id of the table, if it is far down the page.
    """

    def __init__(
        self, query: QueryDict, columns: Iterable[str], default: str = "", *, path: str = "", anchor: str = ""
    ) -> None:
        wanted = [_parsed(column) for column in columns]
        asked = _parsed(query.get("sort", ""))
        self.default = _parsed(default)
        self.order = asked if asked.column in {order.column for order in wanted} else self.default
        self._path, self._anchor = path, f"#{anchor}" if anchor else ""
        self.headers = {order.column: self._header(query, order) for order in wanted}

    @property
    def is_default(self) -> bool:
        """Return whether the table has its usual order."""
        return self.order == self.default

    @property
    def text(self) -> str:
        """Return the order as in the query; empty if it is the usual one."""
        return "" if self.is_default else _text(self.order)

    def key(self, expression: Any) -> keyset.Key:
        """Return the key of a paged list that is sorted by this `expression`."""
        return keyset.Key(expression, is_descending=self.order.is_descending)

    def page(
        self,
        rows: QuerySet[Listed, Listed],
        query: QueryDict,
        newest: str,
        values: Mapping[str, str],
        labels: Mapping[str, Labelled],
        *,
        within: QuerySet[Listed, Listed] | None = None,
    ) -> keyset.Page[Listed]:
        """Return a page of a list in this order; equal rows are ordered by the field `newest`, descending.

        `values` has the field of each column, `labels` the columns that are sorted by their labels. `within`: see
        ``keyset.page``.
        """
        column, is_descending = self.order
        keys, groups = [keyset.Key(newest, is_descending=True)], None
        if column in labels:
            expression, label = labels[column]

            def places(found: Iterable[Any]) -> dict[Any, Any]:
                return {value: sort_key(text) for value, text in label(found).items()}

            groups = keyset.Groups(expression, places, is_descending=is_descending)
        elif values[column] == newest:
            keys = [self.key(newest)]
        else:
            keys.insert(0, self.key(values[column]))
        return keyset.page(rows, keys, query, groups=groups, within=within)

    def sorted(self, rows: Iterable[Row], values: Mapping[str, Callable[[Row], Any]]) -> list[Row]:
        """Return all rows of a table in this order; equal ones stay as they are, empty values come last.

        `values` has, for each of the columns, a function that returns a row's value.
        """
        value = next((value for column, value in values.items() if _parsed(column).column == self.order.column), None)
        placed = [(sort_key(value(row)) if value else None, row) for row in rows]
        filled = [one for one in placed if one[0] is not None]
        filled.sort(key=itemgetter(0), reverse=self.order.is_descending)
        return [row for _place, row in [*filled, *(one for one in placed if one[0] is None)]]

    def _header(self, query: QueryDict, first: SortOrder) -> Header:
        order, aria = first, "none"
        if first.column == self.order.column:
            order = SortOrder(first.column, not self.order.is_descending)
            aria = "descending" if self.order.is_descending else "ascending"
        changed = query.copy()
        for cursor in keyset.CURSORS:
            changed.pop(cursor, None)
        changed["sort"] = _text(order)
        return Header(aria, f"{self._path}?{changed.urlencode()}{self._anchor}")


def sort_key(value: Any) -> Any:
    """Return a sort key: of text without case and accents, and with numbers by their size; None for an empty value."""
    if not isinstance(value, str):
        return value
    parts: list[Any] = _DIGITS.split(folded(value))
    parts[1::2] = map(int, parts[1::2])
    return parts if value else None


def _parsed(text: str) -> SortOrder:
    return SortOrder(text.removeprefix("-"), text.startswith("-"))


def _text(order: SortOrder) -> str:
    return f"{'-' if order.is_descending else ''}{order.column}"

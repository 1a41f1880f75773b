"""Sorts tables by their headers: reads a query such as ``sort=-sessions``, and makes the links and aria-sort."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Order(NamedTuple):
    """A column, and whether its largest values come first."""

    column: str
    is_descending: bool


class Header(NamedTuple):
    """The aria-sort of a header, and the query to sort by it; for the current column, to reverse the order."""

    aria: str
    query: str


def parse(text: str, columns: Collection[str], default: Order) -> Order:
    """Return the order in a query; `default` for a column that is not one of `columns`."""
    column = text.removeprefix("-")
    return Order(column, text.startswith("-")) if column in columns else default


def headers(columns: Collection[str], order: Order, texts: Collection[str] = ()) -> dict[str, Header]:
    """Return the header of each column.

    Columns in `texts` are first sorted from A, the others from the largest value.
    """
    return {
        column: Header("descending" if order.is_descending else "ascending", _query(column, not order.is_descending))
        if column == order.column
        else Header("none", _query(column, column not in texts))
        for column in columns
    }


def _query(column: str, is_descending: bool) -> str:
    return f"{'-' if is_descending else ''}{column}"

"""Keyset pagination: a page starts after the last row shown, so that the last page is as fast as the first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from django.db.models import Count, F, Model, Q, QuerySet
from django.db.models.expressions import Combinable
from django.http import QueryDict
from django.utils.translation import gettext as _

from fabgate.errors import UsageError

Row = TypeVar("Row", bound=Model)
#: The parameters of a query that name, by its id, the row before which a page ends, or after which it starts.
CURSORS: Final = ("before", "after")
SIZE: Final = 50
#: The name under which a row's group is selected.
_GROUP: Final = "keyset_group"


class Key(NamedTuple):
    """A column or an expression by which rows are ordered; it is never NULL."""

    expression: str | Combinable
    is_descending: bool = False


class Groups(NamedTuple):
    """Rows with the same value of a column, ordered by what the page shows for that value.

    It is for columns of ids and codes, which the database cannot order by name or translation.
    """

    expression: str | Combinable
    #: Returns a sort key for each of some values; those without one come last.
    places: Callable[[Collection[Any]], Mapping[Any, Any]]
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the query strings of the adjacent pages, empty if there are none."""

    rows: Sequence[Row]
    before: str
    after: str


def page(
    rows: QuerySet[Row, Row],
    keys: Sequence[Key],
    query: QueryDict,
    *,
    groups: Groups | None = None,
    within: QuerySet[Row, Row] | None = None,
) -> Page[Row]:
    """Return the page of `rows` that `query` asks for.

    Rows are ordered by `groups`, if given, then by `keys`, then by the id in the direction of the last key; `rows`
    itself must be unordered. Raises UsageError for a cursor that names no row, or a row outside `within`.
    """
    id_, backwards = query.get("before") or query.get("after"), bool(query.get("before"))
    rows = _annotated(rows, keys, groups)
    every = rows.model._default_manager.all() if within is None else within  # noqa: SLF001 (Django's name for it)
    cursor = _Cursor.read(id_, every, keys, groups, backwards=backwards) if id_ else None
    wanted = rows.order_by(*(f"{'-' if is_down else ''}{name}" for name, is_down in _directions(keys, backwards)))
    if groups is not None:
        found = _by_groups(wanted, groups, cursor, SIZE + 1, backwards=backwards)
    else:
        found = list((wanted.filter(cursor.beyond) if cursor else wanted)[: SIZE + 1])
    more, found = len(found) > SIZE, found[:SIZE]
    if backwards:
        found.reverse()
    if not found:
        return Page([], _with(query) if cursor else "", "")
    has_before, has_after = (more, True) if backwards else (cursor is not None, more)
    return Page(
        found,
        before=_with(query, before=found[0].pk) if has_before else "",
        after=_with(query, after=found[-1].pk) if has_after else "",
    )


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The row at which a page starts. It need not match the filters of the list: it may have been changed meanwhile."""

    #: The condition for the rows beyond it by the keys, in the direction of reading.
    beyond: Q
    group: Any

    @classmethod
    def read(
        cls, id_: str, rows: QuerySet[Any, Any], keys: Sequence[Key], groups: Groups | None, *, backwards: bool
    ) -> _Cursor:
        """Read the row with this id. Raises UsageError."""
        directions = _directions(keys, backwards)
        names = [name for name, _is_down in directions]
        named = _annotated(rows.order_by(), keys, groups).values(*names, *([_GROUP] if groups else []))
        try:
            found = named.filter(pk=id_).first()
        except ValueError:  # the id is a number, and this text is not
            found = None
        # A row without a value is in no such list: an open session has no end.
        if found is None or None in found.values():
            raise UsageError(_("Invalid page address. Open the list again from its beginning."))
        alternatives, equal = [], Q()
        for name, is_down in directions:
            alternatives.append(equal & Q(**{f"{name}__{'lt' if is_down else 'gt'}": found[name]}))
            equal &= Q(**{name: found[name]})
        # The first condition is a range that an index can serve. The "or" alone would make the database scan all pages
        # before this one.
        first, is_down = directions[0]
        within = Q(**{f"{first}__{'lte' if is_down else 'gte'}": found[first]})
        return cls(within & reduce(or_, alternatives), found.get(_GROUP))


def _by_groups(
    rows: QuerySet[Row, Row], groups: Groups, cursor: _Cursor | None, most: int, *, backwards: bool
) -> list[Row]:
    """Return up to `most` rows, group by group.

    All groups are counted, but only the rows of this page are read.
    """
    sizes: dict[Any, int] = dict(rows.order_by().values_list(_GROUP).annotate(rows=Count("pk")))
    if cursor:
        sizes.setdefault(cursor.group, 0)
    ordered = _ordered(sizes, groups)
    if backwards:
        ordered.reverse()
    found: list[Row] = []
    if cursor:
        found = list(rows.filter(cursor.beyond, **{_GROUP: cursor.group})[:most])
        ordered = ordered[ordered.index(cursor.group) + 1 :]
    room, whole, part = most - len(found), [], []
    for group in ordered:
        if sizes[group] > room:
            part = list(rows.filter(**{_GROUP: group})[:room])
            break
        whole.append(group)
        room -= sizes[group]
    if whole:
        ranks = {group: rank for rank, group in enumerate(whole)}
        found += sorted(rows.filter(**{f"{_GROUP}__in": whole}), key=lambda row: ranks[getattr(row, _GROUP)])
    return [*found, *part][:most]


def _ordered(found: Collection[Any], groups: Groups) -> list[Any]:
    places = groups.places(found)
    ordered = sorted(found, key=str)  # those with the same place always come in this order
    named = [group for group in ordered if places.get(group) is not None]
    named.sort(key=lambda group: places[group], reverse=groups.is_descending)
    return [*named, *(group for group in ordered if places.get(group) is None)]


def _annotated(rows: QuerySet[Row, Any], keys: Sequence[Key], groups: Groups | None) -> QuerySet[Row, Any]:
    """Return `rows` with their expressions and their group under names."""
    named = {
        _name(number, key): key.expression for number, key in enumerate(keys) if not isinstance(key.expression, str)
    }
    if groups is not None:
        named[_GROUP] = F(groups.expression) if isinstance(groups.expression, str) else groups.expression
    annotated: QuerySet[Row, Any] = rows.annotate(**named)
    return annotated


def _directions(keys: Sequence[Key], backwards: bool) -> list[tuple[str, bool]]:
    """Return the name of each key and whether its order is descending; the id comes last."""
    names = [*(_name(number, key) for number, key in enumerate(keys)), "pk"]
    is_down = [*(key.is_descending for key in keys), keys[-1].is_descending]
    return [(name, down != backwards) for name, down in zip(names, is_down, strict=True)]


def _name(number: int, key: Key) -> str:
    return key.expression if isinstance(key.expression, str) else f"keyset_{number}"


def _with(query: QueryDict, **cursor: Any) -> str:
    kept = [(name, value) for name, values in query.lists() if name not in CURSORS for value in values]
    return "?" + urlencode([*kept, *cursor.items()])

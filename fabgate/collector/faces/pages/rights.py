"""The table of rights: who may read and write each route. A route that is not in it is refused.

Each area keeps its rows next to its routes (``faces/pages/<area>/urls.py``: `urlpatterns` and `RIGHTS`). They are
merged here; a name in two areas is an error at start.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from fabgate.collector.faces import pages
from fabgate.collector.faces.pages.roles import KEYED, Asks, Right


def areas() -> list[ModuleType]:
    """Return the `urls` module of each area."""
    packages = sorted(found.name for found in pkgutil.iter_modules(pages.__path__) if found.ispkg)
    names = [f"fabgate.collector.faces.pages.{package}.urls" for package in packages]
    return [import_module(name) for name in names if find_spec(name)]


def merged(rows: list[tuple[str, dict[str, Right]]]) -> dict[str, Right]:
    """Merge the rows of all areas. Raises ValueError for a route in two of them."""
    table: dict[str, Right] = {}
    for area, rights in rows:
        if twice := table.keys() & rights.keys():
            routes = ", ".join(sorted(twice))
            raise ValueError(f"{area}: another area already has rights for {routes}; give each route one row")
        table |= rights
    return table


#: Routes for gates, programs and monitors, which are not pages.
MACHINES: Final = {
    "gate-roster": KEYED,
    "join-begin": KEYED,
    "join-agree": KEYED,
    "join-finish": KEYED,
    "healthz": KEYED,
    "metrics": KEYED,
    "api-openapi": KEYED,
    "api-sessions": KEYED,
    "api-charges": KEYED,
    "api-month-charges": KEYED,
    "api-statements": KEYED,
    "api-month-statements": KEYED,
}


@cache
def table() -> dict[str, Right]:
    """Return the whole table. It is built at the first call, because the views that it imports use it themselves."""
    return merged([("machines", MACHINES), *((area.__name__, area.RIGHTS) for area in areas())])


def may(role: str, route: str, method: str = "GET") -> bool:
    """Return whether `role` may use `method` on this route. Pages show only links for which this is true."""
    right = table().get(route)
    return right is not None and right.may(role, method)


@cache
def trusted_roles() -> frozenset[str]:
    """Return the roles that may change money, or read what everybody did and pays."""
    return money_roles() | table()["use"].get


@cache
def money_roles() -> frozenset[str]:
    """Return the roles that may change money: those that may POST to a route that asks for the password."""
    asking = (right for right in table().values() if right.asks_password is not Asks.NEVER)
    return frozenset(role for right in asking for role in right.post)

"""Who may do what? One table, from the name of a route to its row. What is not in it, nobody may.

Each area of pages keeps its own rows beside its routes (``pages/<area>/urls.py``: `urlpatterns` and `RIGHTS`); here
they are put together, and a name that two areas claim is refused at start.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from fabgate.collector import pages
from fabgate.collector.pages.roles import KEYED, Right


def areas() -> list[ModuleType]:
    """Return the routes of each area: every package in ``pages`` that has a module `urls`."""
    packages = sorted(found.name for found in pkgutil.iter_modules(pages.__path__) if found.ispkg)
    names = [f"fabgate.collector.pages.{package}.urls" for package in packages]
    return [import_module(name) for name in names if find_spec(name)]


def merged(rows: list[tuple[str, dict[str, Right]]]) -> dict[str, Right]:
    """Return the table that the rows of all areas make. Raises ValueError for a route that two of them claim."""
    table: dict[str, Right] = {}
    for area, rights in rows:
        if twice := table.keys() & rights.keys():
            raise ValueError(f"{area}: found rights for {', '.join(sorted(twice))} in another area too; wanted one row")
        table |= rights
    return table


#: Routes for gates, programs and monitors.
MACHINES: Final = {
    "gate-roster": KEYED,
    "healthz": KEYED,
    "metrics": KEYED,
    "api-openapi": KEYED,
    "api-sessions": KEYED,
}


@cache
def table() -> dict[str, Right]:
    """Return the whole table, put together at the first call: the views that it names may ask it themselves."""
    return merged([("machines", MACHINES), *((area.__name__, area.RIGHTS) for area in areas())])


def may(role: str, route: str, method: str = "GET") -> bool:
    """Return whether `role` may use `method` on the route of this name. Pages ask it before they show a link."""
    right = table().get(route)
    return right is not None and right.may(role, method)

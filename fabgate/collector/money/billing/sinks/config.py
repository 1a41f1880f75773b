"""Reads sinks.yaml: which sinks there are, and the options of each. Secrets are in separate files.

books:
driver: files
from: 2027-01
folder: /srv/fabgate/books
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import yaml
from django.conf import settings
from msgspec import Struct

from fabgate import installed
from fabgate.collector.ground.models import Collector
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.sinks.contract import CHARGES, METERED, Driver, Options, Site
from fabgate.collector.money.billing.vat import rates
from fabgate.errors import FabgateError, UsageError
from fabgate.yaml_reading.yaml_file import Reading, join, near, shown

GROUP: Final = "fabgate.sinks"
FILE: Final = "sinks.yaml"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class _File(Struct):
    """All of sinks.yaml."""


class _Section(Struct):
    """The section of one sink."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A sink as sinks.yaml has it."""

    name: str
    #: The name of its driver, and the class.
    driver_name: str
    driver: type[Driver]
    options: Any

    @property
    def feed(self) -> str:
        """Return the kind of items that it receives."""
        return str(self.options.feed)

    def make(self, site: Site) -> Driver:
        """Return the driver. Raises UsageError for impossible options."""
        try:
            made: Driver = self.driver(self.options, site)  # type: ignore[call-arg]  # a Protocol has no constructor
        except FabgateError:
            raise
        except Exception as error:  # of another package: it names neither the sink nor the file
            raise UsageError(
                f"{self.name}: the driver {self.driver_name!r} failed in its constructor ({type(error).__name__}: {error})"
            ) from error
        return made


def path() -> Path:
    """Return the path of sinks.yaml."""
    found: Path = settings.ENVIRONMENT.sinks
    return found


def load() -> list[Configured]:
    """Return the sinks in the order of the file; none if there is no file. Raises UsageError with all mistakes."""
    if not path().exists():
        return []
    reading = Reading(path(), {_File: _read_all, _Section: _read_sink}, "books: {driver: files, from: 2027-01}")
    found = reading.struct(reading.root(), _File, "")
    if reading.mistakes:
        raise UsageError("\n".join(reading.mistakes))
    return list(found)


def site_of() -> Site:
    """Return the values that all items share; without a currency before billing is started."""
    row, found = Collector.objects.get(), terms.started()
    if found is None:
        return Site(row.site, row.collector, ZoneInfo(settings.ENVIRONMENT.tz))
    return Site(
        row.site,
        row.collector,
        terms.zone(found),
        found.currency,
        found.digits,
        found.includes_vat,
        rates.known(),
    )


def driver_class(name: str) -> type[Driver]:
    """Return a driver by its name. Raises UsageError."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise UsageError(f"found the driver {name!r}, wanted {near(name, sorted(points))}")
    try:
        driver: type[Driver] = points[name].load()
    except (Exception, SystemExit) as error:  # a library below a driver may raise anything
        raise UsageError(
            f"the driver {name!r} cannot be loaded ({type(error).__name__}: {error}); a package is missing or broken;"
            f" {installed.driver(name)}"
        ) from error
    if not (isinstance(getattr(driver, "Options", None), type) and issubclass(driver.Options, Options)):
        raise UsageError(f"found the driver {name!r} without Options of fabgate's sinks; report it to its author")
    return driver


def _read_all(reading: Reading, nodes: dict[str, Any], _where: str) -> list[Configured]:
    found = []
    for name, node in nodes.items():
        if not _NAME.fullmatch(name):
            reading.wrong(name, f"found {name[:60]!r}, wanted a name of lower-case letters, digits and hyphens")
            continue
        made = reading.struct(node, _Section, name)
        if made is not None:
            found.append(made)
    if any(one.feed == CHARGES for one in found) and terms.started() is None:
        names = ", ".join(one.name for one in found if one.feed == CHARGES)
        reading.wrong(
            names, "found a sink for charges, but billing has not been started; start it first with bill-start"
        )
    invoicing = [one.name for one in found if one.driver.only_receivables]
    for one in found:
        if one.feed == METERED and invoicing and not one.options.categories:
            reading.wrong(
                one.name,
                f"found together with {', '.join(invoicing)}: both write invoices, so the same minutes would be billed twice;"
                " remove one of them, or set categories to those of machines without a tariff",
            )
    return found


def _read_sink(reading: Reading, nodes: dict[str, Any], where: str) -> Configured | None:
    name = nodes.pop("driver", None)
    if not isinstance(name, yaml.ScalarNode):
        reading.wrong(join(where, "driver"), f"found {shown(name)}, wanted the name of a driver", node=name)
        return None
    try:
        driver = driver_class(name.value)
    except UsageError as error:
        reading.wrong(join(where, "driver"), str(error), node=name)
        return None
    options = reading.fields(nodes, driver.Options, where)
    if options is None:
        return None
    made = Configured(where, name.value, driver, options)
    try:
        made.make(_NOBODY)
    except UsageError as error:
        reading.wrong(where, str(error))
        return None
    return made


#: For trying a driver's constructor.
_NOBODY: Final = Site("", "", ZoneInfo("UTC"), "EUR", 2)

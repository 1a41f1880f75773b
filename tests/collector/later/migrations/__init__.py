"""The migrations of this version, from its own folder, and two more."""

from fabgate.collector.ground import migrations

__path__ = [*__path__, *migrations.__path__]
#: The last migration of this version, on which the next one builds.
LAST = migrations.KNOWN[-1]
KNOWN = (*migrations.KNOWN, "9001_shelf", "9002_longer_shelf")

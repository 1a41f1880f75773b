"""The migrations of this version, from its own folder, and two more."""

from pathlib import Path

from fabgate.collector import migrations

__path__ = [*__path__, *migrations.__path__]
#: The last migration of this version, on which the next one builds.
LAST = max(path.stem for path in Path(migrations.__path__[0]).glob("[0-9]*.py"))

"""A version after this one: this one's models, and two more migrations. For tests of an update.

A process with LATER in its environment is of that version, and brings the database of this one up to date.
"""

from typing import Final

LATER: Final = {"DJANGO_SETTINGS_MODULE": "tests.collector.later.settings"}
MIGRATIONS: Final = "tests.collector.later.migrations"

from fabgate.collector.settings import *  # noqa: F403 (all settings are the same, but for one)
from tests.collector.later import MIGRATIONS

MIGRATION_MODULES = {"collector": MIGRATIONS}

"""Lets Django find the tables: it looks for this module. Everything else imports them from ``ground/models``."""

import fabgate.collector.ground.models  # noqa: F401 (importing them is what registers them)

"""Logs what a test has stored without the log, as the update from an older version does."""

from __future__ import annotations

from fabgate.collector.db import baseline
from fabgate.collector.verify.tables import logged, unchecked


def log_the_rest() -> None:
    """Log the rows of all tables that are compared with the log."""
    for table, model in logged.tables():
        if table not in unchecked.MADE_WITHOUT_LOG:
            baseline.log(model)

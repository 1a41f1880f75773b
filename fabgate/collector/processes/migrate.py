"""``fabgate collector migrate``: prints which database is used. Like every verb, it first brings it up to date."""

from __future__ import annotations

import argparse
import sys

from django.conf import settings

from fabgate.collector.db import postgresql
from fabgate.collector.processes import restored_database


def command(args: argparse.Namespace) -> int:
    """Print where the database is.

    With --restored, first do what is needed after a restore with the database's own tools.
    """
    if args.restored:
        restored_database.invalidate()
        sys.stdout.write(
            "handled as restored: trainings and groups get new numbers, everybody signs in again, one-time links are"
            " closed, and API keys are revoked\n"
        )
    env = settings.ENVIRONMENT
    where = f"the database on {postgresql.host()}" if env.database_url else str(env.database)
    sys.stdout.write(f"{where}: up to date\n")
    return 0

"""``fabgate collector migrate``: reports the database. Like every verb, it brings the database up to date first."""

from __future__ import annotations

import argparse
import sys

from django.conf import settings

from fabgate.collector.db import postgresql
from fabgate.collector.processes import restored_database


def command(args: argparse.Namespace) -> int:
    """Print where the database is; with --restored, first do what a restore with the database's own tools requires."""
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

"""Is the database up to date? It is, once any verb has started; this one says so."""

from __future__ import annotations

import argparse
import sys

from django.conf import settings

from fabgate.collector.db import postgresql
from fabgate.collector.processes import restored_database


def command(args: argparse.Namespace) -> int:
    """Print where the database is; do first what has to be done after it was restored by its own tools."""
    if args.restored:
        restored_database.go_on()
        sys.stdout.write(
            "taken as put back: trainings and groups get numbers that were never given, everybody signs in again,"
            " one-time links are closed, and keys of programs are revoked\n"
        )
    env = settings.ENVIRONMENT
    where = f"the database on {postgresql.host()}" if env.database_url else str(env.database)
    sys.stdout.write(f"{where}: up to date\n")
    return 0

"""Starts the processes of the collector: ``run``, ``ingest``, ``web``, ``worker`` and ``migrate``.

Each function imports its process when it runs, so that no process loads the libraries of the others.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import sys

from django.conf import settings


def run(args: argparse.Namespace) -> int:
    """Keep ingest, web and worker running."""
    from fabgate.collector.processes import run as run_process

    return run_process.run(takeover=args.takeover)


def ingest(args: argparse.Namespace) -> int:
    """Store what the gates publish."""
    from fabgate.collector.processes import ingest as ingest_process

    ingest_process.run(takeover=args.takeover)
    return 0


def web(_args: argparse.Namespace) -> int:
    """Serve the pages, and rosters to gates."""
    from fabgate.collector.processes import web as web_process

    web_process.run()
    return 0


def worker(_args: argparse.Namespace) -> int:
    """Expire loans, trainings and blocks."""
    from fabgate.collector.processes import worker as worker_process

    worker_process.run()
    return 0


def migrate(args: argparse.Namespace) -> int:
    """Print where the database is. Like every verb, it has brought the database up to date.

    With --restored, first do what is needed after a restore with the database's own tools.
    """
    from fabgate.collector.ground.db import postgresql
    from fabgate.collector.processes import restored_database

    if args.restored:
        restored_database.invalidate(settings.ENVIRONMENT.data)
        sys.stdout.write(
            "handled as restored: trainings and groups get new numbers, everybody signs in again, one-time links are"
            " closed, and API keys are revoked\n"
        )
    env = settings.ENVIRONMENT
    where = f"the database on {postgresql.host()}" if env.database_url else str(env.database)
    sys.stdout.write(f"{where}: up to date\n")
    return 0

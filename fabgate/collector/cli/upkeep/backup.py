"""Copies the collector to a file, and restores it: ``backup`` and ``restore``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

from fabgate import installed
from fabgate.collector.ground.base import called, environ
from fabgate.collector.processes import backup as copies
from fabgate.errors import UsageError

#: What a restore means for the accounts of the collector's own broker.
ACCOUNTS: Final = (
    "The broker takes the accounts of this database as soon as the collector runs: gates that were added since then, or got new"
    " keys, need new ones (gate-add --new-token), and those that were cut off since then have to be cut off again (gate-revoke).\n"
)


def backup(args: argparse.Namespace) -> int:
    """Copy the collector to a new file, and print its size and SHA-256; with --keep, only the newest copies stay."""
    env = _environment()
    _refuse_postgresql(env, "pg_dump --format=custom", "copied")
    target = Path(args.file)
    if args.keep is not None and (args.keep < 1 or not target.is_dir()):
        raise UsageError(
            f"--keep: found {args.keep} and {args.file}, wanted a number from 1 up, and a folder of copies"
        )
    made = copies.backup(env, target)
    sys.stdout.write(f"{made.path}: {made.size_bytes} bytes, SHA-256 {made.sha256}\n")
    if args.keep:
        newer = "1 newer one is" if args.keep == 1 else f"{args.keep} newer ones are"
        for old in copies.delete_old(env, made.path.parent, keep=args.keep):
            sys.stdout.write(f"{old}: deleted, {newer} there\n")
    return 0


def restore(args: argparse.Namespace) -> int:
    """Restore the collector from a copy, and print what to do next."""
    env = _environment()
    _refuse_postgresql(env, "pg_restore --clean --if-exists", "restored")
    restored = copies.restore(env, Path(args.file), replace=args.replace)
    sys.stdout.write(f"The collector is as it was on {restored.at:%Y-%m-%d at %H:%M}.\n")
    if restored.aside:
        sys.stdout.write(f"What was there before is in {restored.aside}: delete it once everything works.\n")
    if installed.package():
        sys.stdout.write(
            f"Run `{called.command('migrate')}` first: the copy may have the tables of an earlier version.\n"
        )
    if env.broker_control:
        sys.stdout.write(ACCOUNTS)
    sys.stdout.write(
        "Start the collector: its gates fill the gap, and the rosters are rebuilt. Everybody has to sign in again,"
        " programs need new keys, and big displays new links.\nChanges made on pages and by commands since then have to be"
        " repeated, first those that shut somebody out: lost badges, blocks, inactive accounts, new tokens of gates, gates that were cut off.\n"
    )
    return 0


def _environment() -> environ.Environment:
    """Return the settings that a copy needs, so that a mistake in the broker's settings does not prevent it."""
    needed = (
        *("FABGATE_SITE", "FABGATE_DATA", "FABGATE_DATABASE_URL", "FABGATE_DATABASE_URL_FILE", "FABGATE_SINKS"),
        "FABGATE_BROKER_CONTROL",
    )
    return environ.read(os.environ, need_site=True, only=needed)


def _refuse_postgresql(env: environ.Environment, verb: str, done: str) -> None:
    if env.database_url:
        raise UsageError(
            f"FABGATE_DATABASE_URL: found a PostgreSQL database, which is {done} with its own tools; run {verb}, and"
            f" tar for the keys in {env.data}, within the same hour (docs/install-by-hand.md, PostgreSQL)"
        )

"""Makes accounts, and prints their links: ``first-link``, ``account-add``, ``account-link`` and ``accounts``."""

from __future__ import annotations

import argparse
import sys
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate.collector.cli import text_table
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account
from fabgate.collector.members.accounts import first_link, manage
from fabgate.errors import UsageError


def show_first_link(_args: argparse.Namespace) -> int:
    """Print the link."""
    link = first_link.when_needed(settings.ENVIRONMENT)
    if link is None:
        raise UsageError(
            "there is already a manager, who can make links; for a manager who cannot sign in, run"
            f" {called.command('account-link NAME')}"
        )
    sys.stdout.write(link + "\n")
    return 0


def add(args: argparse.Namespace) -> int:
    """Make an account, and print its link."""
    _account, token = manage.invite(args.name, args.role, actor=audit.cli_actor(args.actor))
    sys.stdout.write(first_link.address(settings.ENVIRONMENT, token) + "\n")
    return 0


def link(args: argparse.Namespace) -> int:
    """Print a link for an existing account."""
    account = Account.objects.filter(name=Account.as_name(args.name)).first()
    if account is None:
        known = ", ".join(Account.objects.order_by("name").values_list("name", flat=True)) or "none yet"
        raise UsageError(f"found no account {args.name!r}, wanted one of: {known}")
    sys.stdout.write(
        first_link.address(settings.ENVIRONMENT, manage.link_for(account, actor=audit.cli_actor(args.actor))) + "\n"
    )
    return 0


def show(_args: argparse.Namespace) -> int:
    """Print each account."""
    zone = ZoneInfo(settings.TIME_ZONE)
    rows = [
        (
            account.name,
            account.role,
            account.display_name,
            f"{account.last_login.astimezone(zone):%Y-%m-%d %H:%M}" if account.last_login else "never signed in",
            "" if account.is_active else "switched off",
        )
        for account in Account.objects.order_by("name")
    ]
    if not rows:
        link = called.command("first-link")
        sys.stdout.write(f"There is no account yet; '{link}' prints the first manager's link.\n")
        return 0
    text_table.write([("account", "role", "name", "last sign-in", ""), *rows], sys.stdout)
    return 0

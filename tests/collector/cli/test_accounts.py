"""Can somebody with a shell let people in, without ever typing a password?"""

from __future__ import annotations

import argparse

import pytest
from django.conf import settings

from fabgate.collector.cli import accounts
from fabgate.collector.cli.arguments import accounts as arguments
from fabgate.collector.ground.models import Account, ApiKey, Change, OneTimeLink
from fabgate.errors import UsageError


def test_an_added_account_gets_a_link_and_no_password(database, capsys):
    accounts.add(argparse.Namespace(name="Ada", role="desk", actor=None))
    link = capsys.readouterr().out.strip()
    assert link.startswith(f"{settings.ENVIRONMENT.address}/welcome/")
    opened = OneTimeLink.open(link.rpartition("/")[2])
    assert (opened.account.name, opened.purpose, opened.account.has_usable_password()) == ("ada", "invite", False)
    assert Change.objects.get(kind="account").actor.startswith("cli:")


def test_a_link_for_an_existing_account(database, capsys):
    account = Account(name="ada", role="desk")
    account.set_password("three green chairs")
    account.save()
    accounts.link(argparse.Namespace(name="ADA", actor="bob"))
    assert OneTimeLink.open(capsys.readouterr().out.strip().rpartition("/")[2]).purpose == "reset"
    assert Change.objects.get(kind="account").actor == "cli:bob"


@pytest.mark.parametrize("name", ["", "a b", "-a", "x" * 64, "ada", "worker", "Worker"])
def test_an_invalid_or_taken_name_is_refused(database, name):
    Account.objects.create(name="ada", role="desk")
    with pytest.raises(UsageError, match="the username"):
        accounts.add(argparse.Namespace(name=name, role="desk", actor=None))
    assert not OneTimeLink.objects.exists()


def test_a_link_for_an_unknown_account_names_the_known_ones(database):
    Account.objects.create(name="ada", role="desk")
    with pytest.raises(UsageError, match="wanted one of: ada"):
        accounts.link(argparse.Namespace(name="bob", actor=None))


def test_a_link_for_an_account_that_is_switched_off_is_refused(database):
    Account.objects.create(name="ada", role="desk", is_active=False)
    with pytest.raises(UsageError, match="switch it on first"):
        accounts.link(argparse.Namespace(name="ada", actor=None))


def test_the_list_says_who_has_which_role(database, capsys):
    accounts.show(argparse.Namespace())
    assert "first-link" in capsys.readouterr().out
    Account.objects.create(name="ada", role="desk", is_active=False)
    accounts.show(argparse.Namespace())
    row = capsys.readouterr().out.splitlines()[-1]
    assert [word in row for word in ("ada", "desk", "never signed in", "switched off")] == [True] * 4


def test_the_first_link_is_printed(database, capsys):
    accounts.show_first_link(argparse.Namespace())
    assert "/welcome/" in capsys.readouterr().out


def test_the_command_line_knows_every_role():
    assert set(arguments.ROLES) == {role for role, _label in Account.ROLES}


def test_an_api_key_is_stored_as_a_hash_and_valid_until_it_expires(database):
    from datetime import timedelta

    from django.utils import timezone

    key, token = ApiKey.make("billing", ["sessions"], made_by=None, expires_at=timezone.now() + timedelta(hours=1))
    assert token not in str(ApiKey.objects.values())
    assert ApiKey.by_token(token) == key
    assert ApiKey.objects.get().last_used_at is not None
    assert ApiKey.by_token(token + "x") is None
    ApiKey.objects.update(revoked_at=timezone.now())
    assert ApiKey.by_token(token) is None
    ApiKey.objects.update(revoked_at=None, expires_at=timezone.now())
    assert ApiKey.by_token(token) is None

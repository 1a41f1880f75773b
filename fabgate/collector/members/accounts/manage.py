"""Creates accounts and their links, and ends their sign-ins, for pages and verbs. No password is typed here."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.contrib.auth import hashers
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, duplicate, member_lock, pulse
from fabgate.collector.ground.models import Account, ApiKey, Member, OneTimeLink, SignIn
from fabgate.collector.members.accounts import links
from fabgate.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,62}")


class Taken(UsageError):  # noqa: N818 (it names what is in the way)
    """The username is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(_("the username '%(found)s' is already taken; choose another one") % {"found": name})


def check_name(typed: str) -> str:
    """Return a username as it is stored. Raises UsageError if it is invalid, and Taken if it is in use.

    Names of actors in the log that are no people count as taken.
    """
    name = Account.as_name(typed)
    if not _NAME.fullmatch(name):
        raise UsageError(
            _("found the username '%(found)s', wanted letters, digits and . _ - @ +, at most 63") % {"found": typed}
        )
    if name in {audit.WORKER, audit.START} or Account.objects.filter(name=name).exists():
        raise Taken(name)
    return name


def invite(
    name: str, role: str, *, actor: str, display_name: str = "", email: str = "", member: Member | None = None
) -> tuple[Account, str]:
    """Create an account that cannot sign in yet; return it with the token of the link that sets its password.

    Raises UsageError if the name is invalid or the member has left since they were read, and Taken if the name is in use.
    """
    account = Account(name=check_name(name), role=role, display_name=display_name, email=email, member=member)
    account.set_unusable_password()
    try:
        with transaction.atomic():
            if member is not None:
                member_lock.take([member])
            with audit.change(actor, "account.added", account):
                account.save()
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        raise Taken(account.name) from error
    return account, links.make(OneTimeLink.INVITE, account, actor)


def link_for(account: Account, *, actor: str) -> str:
    """Return the token of a link that sets a new password for `account`. Raises UsageError if it is inactive."""
    if not account.is_active:
        raise UsageError(_("the account '%(name)s' is switched off; switch it on first") % {"name": account.name})
    purpose = OneTimeLink.RESET if account.has_usable_password() else OneTimeLink.INVITE
    token = links.make(purpose, account, actor)
    made = OneTimeLink.open(token)
    assert made is not None  # made just now
    audit.record(actor, "account.link", account, reason=purpose, after={"expires_at": made.expires_at.isoformat()})
    return token


def set_password(account: Account, password: str, *, reason: str = "", but: int | None = None) -> None:
    """Set a password that the owner typed, expire the account's links, and sign it out everywhere `but` in one browser.

    The log records only that the password was changed.
    """
    with transaction.atomic():
        before: dict[str, Any] = {"password": "old" if account.has_usable_password() else "", **audit.seals_of(account)}
        account.set_password(password)
        account.save(update_fields=["password"])
        ended = SignIn.revoke(account, but=but)
        links.close(account, actor=account.name)  # someone else may have such a link
        left = _sign_ins(account)
        audit.record(
            account.name,
            "account.password",
            account,
            reason=reason,
            before={**before, "sign_ins": left + ended},
            after={"password": "new", "sign_ins": left, **audit.seals_of(account)},
        )


def renew_hash(account: Account, password: str) -> None:
    """Store a new hash of the password that was just typed, if its hash is of an older kind.

    A password that was changed meanwhile stays.
    """
    typed = account.password
    if hashers.identify_hasher(typed).must_update(typed):
        account.set_password(password)
        with audit.change(account.name, "account.rehashed", account):
            Account.objects.filter(pk=account.pk, password=typed).update(password=account.password)


def sign_out(account: Account, *, but: int | None = None, only: int | None = None) -> int:
    """End sign-ins of an account at its owner's request: all, all but `but`, or `only` one; return how many ended."""
    with transaction.atomic():
        ended = SignIn.revoke(account, but=but, only=only)
        left = _sign_ins(account)
        if ended:
            before, after = {"sign_ins": left + ended}, {"sign_ins": left}
            audit.record(account.name, "account.signed-out", account, before=before, after=after)
    return ended


def _sign_ins(account: Account) -> int:
    return SignIn.objects.filter(account=account, revoked_at=None).count()


def switch_off(account: Account, *, actor: str, reason: str = "") -> None:
    """Make `account` inactive and sign it out everywhere. Its API keys stay valid: see `revoke`."""
    with audit.change(actor, "account.deactivated", account, reason=reason):
        account.is_active = False
        account.save(update_fields=["is_active"])
        SignIn.revoke(account)
        links.close(account, actor=actor)  # an open link would work again after a reactivation


def make_key(
    name: str, scopes: Collection[str], *, made_by: Account, expires_at: datetime | None = None
) -> tuple[ApiKey, str] | None:
    """Make a key; return it with its token, or None if an active one has its name, as when a form was sent twice."""
    concerned = [] if made_by.member is None else [made_by.member]
    with transaction.atomic():
        member_lock.take(concerned)  # a departure ends their keys
        pulse.lock()  # serialises two requests for the same name
        if ApiKey.valid().filter(name=name).exists():
            return None
        key, token = ApiKey.make(name, list(scopes), made_by=made_by, expires_at=expires_at)
        audit.record(made_by.name, "key.made", key, after=audit.stored(ApiKey, [key.pk])[key.pk])
    return key, token


def revoke(key: ApiKey, *, actor: str, reason: str = "") -> None:
    """Revoke an API key. Raises UsageError if it is revoked already."""
    with audit.change(actor, "key.revoked", key, reason=reason):
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
            raise UsageError(_("the key %(key)s has already been revoked") % {"key": key})

"""Makes, closes and uses one-time links. The log has each of them, without its token."""

from __future__ import annotations

import secrets

from django.db import transaction
from django.utils import timezone

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account, OneTimeLink
from fabgate.collector.ground.models.accounts import LINK_LASTS, hash_of


def make(purpose: str, account: Account | None, made_by: str) -> str:
    """Make a link and return its token. Earlier links of `account` (None: of the first manager) stop working."""
    now, token = timezone.now(), secrets.token_urlsafe(32)
    link = OneTimeLink(
        token_hash=hash_of(token),
        purpose=purpose,
        account=account,
        made_by=made_by,
        created_at=now,
        expires_at=now + LINK_LASTS[purpose],
    )
    with transaction.atomic():
        close(account, actor=made_by)
        with audit.change(made_by, "link.made", link):
            link.save()
    return token


def close(account: Account | None, *, actor: str) -> None:
    """Expire all links of `account` (None: of the first manager)."""
    now = timezone.now()
    opened = OneTimeLink.objects.filter(account=account, used_at=None, expires_at__gt=now)
    with transaction.atomic():
        links = list(opened)
        with audit.changes(actor, "link.closed", links):
            opened.filter(pk__in=[link.pk for link in links]).update(expires_at=now)


def use(link: OneTimeLink, *, actor: str) -> bool:
    """Mark a link as used; return False if another request used it first."""
    with audit.change(actor, "link.used", link):
        return bool(OneTimeLink.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()))
